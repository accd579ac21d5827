"""The standard query parameters of a call → how its reply is presented: selection, indentation, enums, error format."""
