"""One fusion method a file: file name = function name = public name. Files start without importing torch."""
