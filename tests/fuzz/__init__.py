"""Generated nonsense at every door of a real pair: nothing breaks, leaks or gets through."""
