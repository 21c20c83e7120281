"""What lets a stranger check the ledger: canonical records, Merkle proofs, signed checkpoints, receipts.

Pure code. It reads no clock, no database and no network; whoever calls it brings the bytes and the trusted keys.
"""
