// SPDX-License-Identifier: Apache-2.0
// One HTTP exchange. The library that does it links libcurl and is opened when a download needs it.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace onnxport::hub {

/// Why an exchange came to no whole answer.
enum class Trouble {
  none,
  unreachable,  ///< no connection: name, network, refused
  certificate,  ///< the server's certificate is not trusted
  broken,       ///< a connection that ended early or stood still
  stopped,      ///< by the receiver, or by `stop`
  invalid,      ///< the address cannot be asked
};

struct HttpRequest {
  bool head = false;  // headers only
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  /// For the connection, and for the longest time without a byte.
  std::chrono::seconds timeout{10};
  /// Asked about once a second and with every block.
  std::function<bool()> stop = {};
};

struct HttpResponse {
  long status = 0;
  std::map<std::string, std::string> headers;  // by name in lower case; the last of a name
  std::string redirect;                        // the absolute address that Location leads to
  long retry_after = 0;                        // seconds
  Trouble trouble = Trouble::none;
  std::string reason;  // of the trouble

  /// The header's text, empty where there is none.
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
};

/// Takes the body as it comes, with status and headers filled in; false stops the exchange.
using BodySink = std::function<bool(const HttpResponse&, std::string_view)>;

/// Keeps connections between exchanges. Used by one thread at a time. Never throws: what goes wrong is in the response.
class Transport {
 public:
  virtual ~Transport() = default;
  /// Redirects are not followed. Proxies and certificates are those of the environment: http_proxy, https_proxy,
  /// no_proxy; SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE.
  virtual HttpResponse perform(const HttpRequest& request, const BodySink& body) = 0;
};

/// Opens the library. Throws Error(usage) where it, or libcurl, is not installed.
std::unique_ptr<Transport> make_transport();

/// The symbols of the library: Transport* onnxport_transport(void), const char* onnxport_transport_stamp(void).
inline constexpr const char* transport_symbol = "onnxport_transport";
inline constexpr const char* transport_stamp_symbol = "onnxport_transport_stamp";
#define ONNXPORT_TRANSPORT_STAMP "onnxport-transport-1"

}  // namespace onnxport::hub
