"""From an archive, or a directory of any layout, to a clean labelled directory."""
