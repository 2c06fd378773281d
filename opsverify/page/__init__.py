"""The one page at the end of every rehearsal and every recovery: HTML, complete in itself, Korean and English, A4."""
