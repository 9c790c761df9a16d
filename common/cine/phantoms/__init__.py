"""Hearts to make cines of: drawn ones, and real ones of which two phases are known."""
