# Copies the built plugin in FROM to TO and damages it after KIND:
#   sha256   the manifest gives another sum than the library has
#   corrupt  the library is no library, although its sum is right
file(REMOVE_RECURSE "${TO}")
file(COPY "${FROM}/" DESTINATION "${TO}")
file(READ "${TO}/plugin.yaml" manifest)
string(REGEX MATCH "library: ([^\n]+)" _ "${manifest}")
set(library "${TO}/${CMAKE_MATCH_1}")
if(KIND STREQUAL "sha256")
  string(REPEAT "0" 64 sum)
elseif(KIND STREQUAL "corrupt")
  file(WRITE "${library}" "no library at all\n")
  file(SHA256 "${library}" sum)
else()
  message(FATAL_ERROR "unknown KIND '${KIND}'")
endif()
string(REGEX REPLACE "sha256: [0-9a-f]+" "sha256: ${sum}" manifest "${manifest}")
file(WRITE "${TO}/plugin.yaml" "${manifest}")
