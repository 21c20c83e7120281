"""The gateway: takes commands from API consumers, keeps them, publishes them, and answers with their outcome."""
