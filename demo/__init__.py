"""The main job on a real cluster: a mis-sized service under load is tuned by Trimtab, watched and checked."""
