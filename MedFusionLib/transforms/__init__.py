"""Image transforms on tensors, analysis and synthesis in one file; they work along the axes they are given."""
