"""A resource and its options → its page, a preview, and the PDF, rendered on demand without the queue."""
