# As much of Slicer's build system as an extension of Python files asks for, so that its CMake can be run without a
# Slicer build. Stricter than Slicer in one thing: only listed files are installed.

set(Slicer_VERSION "5.12.3")
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-5.12/qt-scripted-modules")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")

# Slicer's own scripts behind these names add targets and settings for compiled code and for uploading.
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/nothing.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/nothing.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/nothing.cmake")
include(CTest)

# What the extension index reads; Slicer stops without them too.
foreach(name HOMEPAGE CATEGORY CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  if("${EXTENSION_${name}}" STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${name} is not set")
  endif()
endforeach()

macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: unknown ${MY_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT MY_NAME)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: NAME is mandatory")
  endif()

  set(_subdir "")
  if(MY_WITH_SUBDIR)
    get_filename_component(_subdir ${CMAKE_CURRENT_SOURCE_DIR} NAME)
    set(_subdir "/${_subdir}")
  endif()

  set(_copies "")
  foreach(_file ${MY_SCRIPTS} ${MY_RESOURCES})
    set(_source "${CMAKE_CURRENT_SOURCE_DIR}/${_file}")
    if(NOT EXISTS "${_source}")
      message(FATAL_ERROR "slicerMacroBuildScriptedModule given nonexistent file '${_file}'")
    endif()
    set(_copy "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}${_subdir}/${_file}")
    add_custom_command(OUTPUT "${_copy}" DEPENDS "${_source}"
      COMMAND ${CMAKE_COMMAND} -E copy "${_source}" "${_copy}"
      )
    list(APPEND _copies "${_copy}")
    get_filename_component(_folder "${_file}" DIRECTORY)
    install(FILES "${_copy}" DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}${_subdir}/${_folder}")
  endforeach()
  add_custom_target(Copy${MY_NAME}PythonFiles ALL DEPENDS ${_copies})
endmacro()

macro(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "SCRIPT" "SLICER_ARGS;TESTNAME_PREFIX" ${ARGN})
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT}")
    message(FATAL_ERROR "slicer_add_python_unittest given nonexistent file '${MY_SCRIPT}'")
  endif()
  get_filename_component(_name "${MY_SCRIPT}" NAME_WE)
  add_test(NAME py_${_name} COMMAND "${Slicer_STAND_IN_PYTHON}" "${Slicer_STAND_IN_RUNNER}"
    "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}" ${_name}
    )
endmacro()
