"""What a function does at each shape: the data, its JSON form, the law between its points."""
