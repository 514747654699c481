"""The only code that changes anything outside the process."""
