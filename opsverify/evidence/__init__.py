"""Evidence: the files of a run, and the manifest and signature that show later that they are unaltered."""
