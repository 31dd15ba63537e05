# Nothing is needed here: see SlicerConfig.cmake.
