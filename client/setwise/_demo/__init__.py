"""What `setwise demo` shows: real photos, collages of them, and the scores side by side."""
