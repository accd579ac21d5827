"""Files that are not code: artwork, pixel pictures and where they are found."""
