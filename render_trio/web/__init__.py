"""HTTP requests → pages, documents, tasks on the queue, and the probes that orchestrators call."""
