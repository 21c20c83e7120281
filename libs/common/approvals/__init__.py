"""First approvals of two end with the authority of whoever gave them."""
