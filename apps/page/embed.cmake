# cmake -D FOLDER=apps/page -D OUTPUT=page.cpp [-D DOCUMENT=page.html] -P embed.cmake
# Puts style and script into the document, computes the policy that allows exactly these two, and writes both as C++.
# DOCUMENT, for tests and stand-in servers, also receives the plain document, and DOCUMENT.csp the policy.
cmake_minimum_required(VERSION 3.25)

# CMake knows SHA-256 only as hexadecimal; the policy wants base64 (RFC 4648 section 4). Three bytes are six hexadecimal
# digits and four characters of base64; 32 bytes leave two over, which make three characters and one `=`.
function(sha256_base64 text result)
  set(alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  string(SHA256 hex "${text}")
  set(hex "${hex}00")
  set(encoded "")
  foreach(offset RANGE 0 60 6)
    string(SUBSTRING ${hex} ${offset} 6 group)
    foreach(shift 18 12 6 0)
      math(EXPR index "(0x${group} >> ${shift}) & 63")
      string(SUBSTRING ${alphabet} ${index} 1 character)
      string(APPEND encoded ${character})
    endforeach()
  endforeach()
  string(REGEX REPLACE "A$" "=" encoded ${encoded})
  set(${result} ${encoded} PARENT_SCOPE)
endfunction()

file(READ ${FOLDER}/index.html page)
file(READ ${FOLDER}/page.css style)
# One script, page.js first: what it names, the others use while they are loaded.
set(script "")
foreach(part page members past log)
  file(READ ${FOLDER}/${part}.js text)
  string(APPEND script "${text}")
endforeach()
# The hash is taken over every byte between the tags.
string(REPLACE "@page.css@" "${style}" page "${page}")
string(REPLACE "@page.js@" "${script}" page "${page}")
sha256_base64("${style}" style_hash)
sha256_base64("${script}" script_hash)
string(CONCAT policy "default-src 'none'; script-src 'sha256-${script_hash}'; style-src 'sha256-${style_hash}'; "
       "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")

file(WRITE ${OUTPUT} "// Made by apps/page/embed.cmake.
#include \"apps/page/page.hpp\"

namespace ringcast {

std::string_view chat_page() noexcept {
  static constexpr std::string_view page = R\"ringcast(${page})ringcast\";
  return page;
}

std::string_view chat_page_csp() noexcept {
  return R\"policy(${policy})policy\";
}

} // namespace ringcast
")
if(DOCUMENT)
  file(WRITE ${DOCUMENT} "${page}")
  file(WRITE ${DOCUMENT}.csp "${policy}")
endif()
