"""Language: every message a person may see, in English and in Korean, from one catalogue."""
