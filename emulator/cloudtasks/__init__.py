"""The parts of Cloud Tasks v2beta2: JSON fields → values, tasks and queues → resources, and the verbs on queues."""
