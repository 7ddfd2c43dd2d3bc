"""The command line: trimtab run, crd, check."""
