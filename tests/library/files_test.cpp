// The files of a folder: what is served and what never is, with what is said of them, and in parts.
#include "engine/server/file_answer.hpp"
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <vector>

using namespace ringcast;
namespace fs = std::filesystem;

namespace {

// A folder to be served beside a secret that is none of its files.
struct served {
  served() {
    std::string name = "/tmp/ringcast-files-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    outside = name;
    root = outside / "public";
    fs::create_directories(root / "sub");
    fs::create_directories(root / ".git");
    fs::create_directories(root / ".well-known");
    write(outside / "secret", "secret");
    write(root / "index.html", "<p>front");
    write(root / "page.js", "0123456789");
    write(root / "empty.css", "");
    write(root / "no-type", "?");
    write(root / "sub" / "index.html", "<p>sub");
    write(root / "with space.txt", "space");
    write(root / ".env", "secret");
    write(root / ".git" / "config", "secret");
    write(root / ".well-known" / "security.txt", "contact");
    fs::create_symlink("../secret", root / "link-out.txt");
    fs::create_symlink(outside / "secret", root / "link-absolute.txt");
    fs::create_symlink("page.js", root / "link-in.js");
    BOOST_REQUIRE(::mkfifo((root / "pipe.txt").c_str(), 0600) == 0);
  }
  ~served() { fs::remove_all(outside); }
  static void write(const fs::path& to, std::string_view what) { std::ofstream{to} << what; }

  fs::path outside, root;
};

struct with_folder : served {
  running server{[this](auto& s) {
    s.files("/static/*", root.string(), {.cache_control = "max-age=60", .answer_bytes_max = 1'000'000});
    s.files("/bare/*", root.string(), {.index = ""});
  }};

  std::string ask(std::string_view target, std::string_view headers = {}, std::string_view method = "GET") {
    return wire_client{server.address()}.http(std::string{method} + ' ' + std::string{target} + " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n" +
                                              std::string{headers} + "\r\n");
  }
  static bool has(const std::string& answer, std::string_view part) { return answer.find(part) != std::string::npos; }
  static std::string body_of(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }
  static std::string header_of(const std::string& answer, std::string_view name) {
    const auto at = answer.find("\r\n" + std::string{name} + ": ");
    if (at == std::string::npos) return {};
    const auto begin = at + 4 + name.size();
    return answer.substr(begin, answer.find("\r\n", begin) - begin);
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(files, with_folder)

BOOST_AUTO_TEST_CASE(the_files_of_a_folder_are_served_with_their_types_and_nothing_else_is) {
  struct expected {
    std::string path, type, body;
  };
  for (const auto& [path, type, body] : std::vector<expected>{{"", "text/html; charset=utf-8", "<p>front"},
                                                              {"index.html", "text/html; charset=utf-8", "<p>front"},
                                                              {"sub/", "text/html; charset=utf-8", "<p>sub"},
                                                              {"page.js", "text/javascript; charset=utf-8", "0123456789"},
                                                              {"link-in.js", "text/javascript; charset=utf-8", "0123456789"},
                                                              {"empty.css", "text/css; charset=utf-8", ""},
                                                              {"no-type", "application/octet-stream", "?"},
                                                              {"with%20space.txt?v=1", "text/plain; charset=utf-8", "space"},
                                                              {".well-known/security.txt", "text/plain; charset=utf-8", "contact"}}) {
    const std::string answer = ask("/static/" + path);
    BOOST_TEST(answer.starts_with("HTTP/1.1 200"), path);
    BOOST_TEST(header_of(answer, "Content-Type") == type);
    BOOST_TEST(header_of(answer, "Cache-Control") == "max-age=60");
    BOOST_TEST(header_of(answer, "X-Content-Type-Options") == "nosniff");
    BOOST_TEST(body_of(answer) == body);
  }
  for (const std::string_view path :
       {"missing", "sub/../page.js", "../secret", "%2e%2e/secret", "..%2fsecret", "sub/../../secret", "/etc/passwd", "%2fetc%2fpasswd",
        "link-out.txt", "link-absolute.txt", "pipe.txt", ".env", ".git/config", "sub/.hidden", "page.js/", "page.js%00.txt", "missing/"}) {
    const std::string answer = ask("/static/" + std::string{path});
    BOOST_TEST(answer.starts_with("HTTP/1.1 404"), path << ": " << answer);
    BOOST_TEST(!has(answer, "secret\r\n"), path);
    BOOST_TEST(!has(body_of(answer), "root:"), path);
  }
  const std::string moved = ask("/static/sub?x=1");
  BOOST_TEST(moved.starts_with("HTTP/1.1 301"), moved);
  BOOST_TEST(header_of(moved, "Location") == "/static/sub/");
  BOOST_TEST(ask("/bare/sub/").starts_with("HTTP/1.1 404"));
  BOOST_TEST(ask("/bare/sub").starts_with("HTTP/1.1 404"));
  BOOST_TEST(ask("/static/page.js", "Content-Length: 0\r\n", "POST").starts_with("HTTP/1.1 405"));
  const std::string head = ask("/static/page.js", "Range: bytes=0-1\r\n", "HEAD");
  BOOST_TEST(head.starts_with("HTTP/1.1 200"), head);
  BOOST_TEST(header_of(head, "Content-Length") == "10");
  BOOST_TEST(body_of(head).empty());
  class server none;
  BOOST_CHECK_THROW(none.files("/x/*", (root / "missing").string()), std::system_error);
}

// RFC 9110 13
BOOST_AUTO_TEST_CASE(what_a_peer_has_already_is_not_sent_again) {
  const std::string first = ask("/static/page.js");
  const std::string tag = header_of(first, "ETag"), modified = header_of(first, "Last-Modified");
  BOOST_TEST(tag.starts_with('"'));
  BOOST_TEST(modified.ends_with(" GMT"));
  for (const std::string& known : std::vector<std::string>{"If-None-Match: " + tag, "If-None-Match: \"x\", W/" + tag, std::string{"If-None-Match: *"},
                                                           "If-Modified-Since: " + modified, "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
                                                           "If-None-Match: " + tag + "\r\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"}) {
    const std::string answer = ask("/static/page.js", known + "\r\n");
    BOOST_TEST(answer.starts_with("HTTP/1.1 304 Not Modified\r\n"), known << ": " << answer);
    BOOST_TEST(body_of(answer).empty());
    BOOST_TEST(!has(answer, "Content-Length")); // RFC 9110 8.6: not of a body that is not there
    BOOST_TEST(header_of(answer, "ETag") == tag);
  }
  for (const std::string& other : std::vector<std::string>{
           std::string{"If-None-Match: \"x\""}, std::string{"If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"},
           std::string{"If-Modified-Since: yesterday"}, "If-None-Match: \"x\"\r\nIf-Modified-Since: " + modified, std::string{"If-None-Match: "}})
    BOOST_TEST(ask("/static/page.js", other + "\r\n").starts_with("HTTP/1.1 200"), other);
  write(root / "page.js", "changed at the same second, perhaps");
  BOOST_TEST(body_of(ask("/static/page.js", "If-None-Match: " + tag + "\r\n")) == "changed at the same second, perhaps");
}

// RFC 9110 14
BOOST_AUTO_TEST_CASE(ranges_are_served_one_at_a_time) {
  struct expected {
    std::string range, said, body;
  };
  for (const auto& [range, said, body] : std::vector<expected>{{"bytes=0-0", "bytes 0-0/10", "0"},
                                                               {"bytes=3-5", "bytes 3-5/10", "345"},
                                                               {"Bytes=8-", "bytes 8-9/10", "89"},
                                                               {"bytes=8-99999999999", "bytes 8-9/10", "89"},
                                                               {"bytes=-3", "bytes 7-9/10", "789"},
                                                               {"bytes=-99", "bytes 0-9/10", "0123456789"}}) {
    const std::string answer = ask("/static/page.js", "Range: " + range + "\r\n");
    BOOST_TEST(answer.starts_with("HTTP/1.1 206 Partial Content\r\n"), range << ": " << answer);
    BOOST_TEST(header_of(answer, "Content-Range") == said);
    BOOST_TEST(body_of(answer) == body);
  }
  for (const std::string_view none : {"bytes=10-", "bytes=10-20", "bytes=-0", "bytes=18446744073709551615-"}) {
    const std::string answer = ask("/static/page.js", "Range: " + std::string{none} + "\r\n");
    BOOST_TEST(answer.starts_with("HTTP/1.1 416 Range Not Satisfiable\r\n"), none << ": " << answer);
    BOOST_TEST(header_of(answer, "Content-Range") == "bytes */10");
  }
  for (const std::string_view ignored : {"bytes=5-3", "bytes=a-b", "bytes=", "bytes=-", "bytes=0-1,3-4", "lines=0-1", "0-1", "bytes=0 - 1",
                                         "bytes=-1-2", "bytes=99999999999999999999-"}) {
    const std::string answer = ask("/static/page.js", "Range: " + std::string{ignored} + "\r\n");
    BOOST_TEST(answer.starts_with("HTTP/1.1 200"), ignored << ": " << answer);
    BOOST_TEST(body_of(answer) == "0123456789");
  }
  const std::string first = ask("/static/page.js");
  for (const std::string& same : std::vector<std::string>{header_of(first, "ETag"), header_of(first, "Last-Modified")})
    BOOST_TEST(ask("/static/page.js", "Range: bytes=0-1\r\nIf-Range: " + same + "\r\n").starts_with("HTTP/1.1 206"));
  for (const std::string& other :
       std::vector<std::string>{std::string{"\"x\""}, "W/" + header_of(first, "ETag"), std::string{"Thu, 01 Jan 1970 00:00:00 GMT"}})
    BOOST_TEST(ask("/static/page.js", "Range: bytes=0-1\r\nIf-Range: " + other + "\r\n").starts_with("HTTP/1.1 200"));
  BOOST_TEST(ask("/static/empty.css", "Range: bytes=0-1\r\n").starts_with("HTTP/1.1 416"));
}

BOOST_AUTO_TEST_CASE(a_file_beyond_the_bound_is_served_in_ranges_alone) {
  write(root / "at.bin", std::string(1'000'000, 'x'));
  write(root / "above.bin", std::string(1'000'001, 'x'));
  BOOST_TEST(body_of(ask("/static/at.bin")).size() == 1'000'000u);
  BOOST_TEST(ask("/static/above.bin").starts_with("HTTP/1.1 403"));
  const std::string cut = ask("/static/above.bin", "Range: bytes=0-\r\n");
  BOOST_TEST(cut.starts_with("HTTP/1.1 206"));
  BOOST_TEST(header_of(cut, "Content-Range") == "bytes 0-999999/1000001");
  BOOST_TEST(body_of(cut).size() == 1'000'000u);
  BOOST_TEST(body_of(ask("/static/above.bin", "Range: bytes=1000000-\r\n")) == "x");
}

BOOST_AUTO_TEST_SUITE_END()
