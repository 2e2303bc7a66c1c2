"""Flow programs that nobody thought of, held to what plain Python makes of them."""
