"""Studies: trials on datasets, and what each site adds, without broker or clients."""
