"""The head of a request → the request as its proxy received it, and whether it is answered."""
