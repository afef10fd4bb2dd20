// SPDX-License-Identifier: Apache-2.0
#include "core/printable.hpp"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

namespace printable_test {

using namespace onnxport;
using namespace std::string_literals;

BOOST_AUTO_TEST_SUITE(printable_text)

BOOST_AUTO_TEST_CASE(what_people_write_stays) {
  for (const std::string text : {"encoder.layer.0.weight", "…/père/重み/вес", "a \\x1b that somebody typed", "",
                                 "\U0001f469\u200d\U0001f52c", "\u0645\u06cc\u200c\u062e"})
    BOOST_TEST(printable(text) == text);
}

BOOST_AUTO_TEST_CASE(what_a_terminal_obeys_is_spelt) {
  BOOST_TEST(printable("\x1b[31mred") == "\\x1b[31mred");
  BOOST_TEST(printable("a\rb\nc\td\0e"s) == "a\\rb\\nc\\td\\x00e");
  BOOST_TEST(printable("\x7f") == "\\x7f");
  BOOST_TEST(printable("\u009b2J") == "\\u009b2J");  // CSI in one character
}

BOOST_AUTO_TEST_CASE(what_reorders_or_hides_text_is_spelt) {
  BOOST_TEST(printable("user\u202egpj.exe") == "user\\u202egpj.exe");
  BOOST_TEST(printable("\u2066\u2069\u200e\u061c") == "\\u2066\\u2069\\u200e\\u061c");
  BOOST_TEST(printable("\u2028\ufeff\u200b") == "\\u2028\\ufeff\\u200b");
  BOOST_TEST(printable("\U000e0041") == "\\U000e0041");
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_utf_8_are_spelt) {
  BOOST_TEST(printable("\xff\xfe") == "\\xff\\xfe");
  BOOST_TEST(printable("a\xe2\x80") == "a\\xe2\\x80");                  // cut off
  BOOST_TEST(printable("\xc0\x9b") == "\\xc0\\x9b");                    // longer than needed: ESC in two bytes
  BOOST_TEST(printable("\xe0\x80\x9b") == "\\xe0\\x80\\x9b");           // and in three
  BOOST_TEST(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // half of a pair
  BOOST_TEST(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // behind the last character
  BOOST_TEST(printable("\x9bm") == "\\x9bm");
}

BOOST_AUTO_TEST_CASE(lines_of_the_program_stay_lines) {
  BOOST_TEST(printable_lines("missing:\n  a\r") == "missing:\n  a\\r");
}

BOOST_AUTO_TEST_CASE(json_means_the_same) {
  const nlohmann::json object{{"a\u202e", "\x7f\u009b\n\x1b"}, {"tag", "\U000e0041"}, {"plain", "重み"}};
  const std::string text = printable_json(object.dump(2));
  BOOST_TEST(nlohmann::json::parse(text) == object);
  BOOST_TEST(printable_lines(text) == text);
  BOOST_TEST(text.find("重み") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace printable_test
