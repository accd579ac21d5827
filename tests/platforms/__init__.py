"""What other operating systems lack: nothing of ours may need it there."""
