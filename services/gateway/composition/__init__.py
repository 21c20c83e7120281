"""The parts that `app.py` puts together, one file for each thing they do. Like it they only construct."""
