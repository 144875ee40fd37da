"""Reports: one view model, shown in a terminal, as one HTML file, and as JSON."""
