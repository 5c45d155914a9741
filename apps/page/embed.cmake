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

# Puts a document together: the style of both with its own, and its scripts, which are one script, in this order.
function(put_together folder style_name script_name parts page_result policy_result)
  file(READ ${folder}/index.html page)
  file(READ ${FOLDER}/taste.css taste)
  file(READ ${folder}/${style_name} style)
  string(PREPEND style "${taste}")
  set(script "")
  foreach(part ${parts})
    file(READ ${folder}/${part}.js text)
    string(APPEND script "${text}")
  endforeach()
  # The hash is taken over every byte between the tags.
  string(REPLACE "@${style_name}@" "${style}" page "${page}")
  string(REPLACE "@${script_name}@" "${script}" page "${page}")
  sha256_base64("${style}" style_hash)
  sha256_base64("${script}" script_hash)
  string(CONCAT policy "default-src 'none'; script-src 'sha256-${script_hash}'; style-src 'sha256-${style_hash}'; "
         "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
  set(${page_result} "${page}" PARENT_SCOPE)
  set(${policy_result} "${policy}" PARENT_SCOPE)
endfunction()

# The first script names what the others use while they are loaded.
put_together(${FOLDER} page.css page.js "page;members;past;log" page policy)
put_together(${FOLDER}/admin admin.css admin.js "admin;chart;overview;lists;room;actions;start" admin_page admin_policy)

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

std::string_view admin_page() noexcept {
  static constexpr std::string_view page = R\"ringcast(${admin_page})ringcast\";
  return page;
}

std::string_view admin_page_csp() noexcept {
  return R\"policy(${admin_policy})policy\";
}

} // namespace ringcast
")
if(DOCUMENT)
  file(WRITE ${DOCUMENT} "${page}")
  file(WRITE ${DOCUMENT}.csp "${policy}")
endif()
