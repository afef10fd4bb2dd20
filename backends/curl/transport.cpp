// SPDX-License-Identifier: Apache-2.0
// HTTP by libcurl.
#include "hub/transport.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/version.hpp"

namespace onnxport::hub {
namespace {

/// What the callbacks of one exchange share.
struct Exchange {
  const HttpRequest& request;
  const BodySink& body;
  HttpResponse& response;
  CURL* handle;
  curl_off_t received = 0;
  std::chrono::steady_clock::time_point moved = std::chrono::steady_clock::now();  // when it last received a byte
  bool stalled = false;
};

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == text.npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

size_t on_header(char* data, size_t, size_t count, void* pointer) {
  HttpResponse& response = static_cast<Exchange*>(pointer)->response;
  const std::string_view line(data, count);
  // A status line begins anew: what came before were those of an interim answer (100 Continue).
  if (line.starts_with("HTTP/")) response.headers.clear();
  const size_t colon = line.find(':');
  if (colon != line.npos) response.headers[lower(trimmed(line.substr(0, colon)))] = trimmed(line.substr(colon + 1));
  return count;
}

size_t on_body(char* data, size_t, size_t count, void* pointer) {
  Exchange& exchange = *static_cast<Exchange*>(pointer);
  curl_easy_getinfo(exchange.handle, CURLINFO_RESPONSE_CODE, &exchange.response.status);
  try {
    if (exchange.body && !exchange.body(exchange.response, {data, count})) return CURL_WRITEFUNC_ERROR;
  } catch (...) {
    return CURL_WRITEFUNC_ERROR;  // nothing may pass through libcurl
  }
  return count;
}

/// Called once a second and with every block. libcurl's own measure of speed is a mean over several seconds, which sees
/// that a connection stands still long after it does.
int on_progress(void* pointer, curl_off_t, curl_off_t received, curl_off_t, curl_off_t) {
  Exchange& exchange = *static_cast<Exchange*>(pointer);
  if (exchange.request.stop && exchange.request.stop()) return 1;
  const auto now = std::chrono::steady_clock::now();
  curl_off_t connected = 0;
  curl_easy_getinfo(exchange.handle, CURLINFO_PRETRANSFER_TIME_T, &connected);
  if (connected == 0 || received != exchange.received) {
    exchange.received = received;
    exchange.moved = now;
  }
  exchange.stalled = now - exchange.moved > exchange.request.timeout;
  return exchange.stalled ? 1 : 0;
}

Trouble trouble_of(CURLcode code, CURL* handle) {
  curl_off_t connected = 0;  // how long that took; 0 where it never was
  curl_easy_getinfo(handle, CURLINFO_PRETRANSFER_TIME_T, &connected);
  switch (code) {
    case CURLE_OK:
      return Trouble::none;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
      return Trouble::unreachable;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return Trouble::certificate;
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_WRITE_ERROR:
      return Trouble::stopped;
    case CURLE_URL_MALFORMAT:
      return Trouble::invalid;
    case CURLE_UNSUPPORTED_PROTOCOL:  // of the address, or of an answer that is no HTTP
      return connected > 0 ? Trouble::broken : Trouble::invalid;
    case CURLE_OPERATION_TIMEDOUT:
      return connected > 0 ? Trouble::broken : Trouble::unreachable;
    default:
      return Trouble::broken;
  }
}

/// One file by its name, or the bytes of several.
struct Certificates {
  std::string file, bytes;
};

/// libcurl itself reads none of these variables.
Certificates certificates_of_environment() {
  std::vector<std::string> files;
  for (const char* name : {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}) {
    const char* bundle = std::getenv(name);
    if (bundle != nullptr && *bundle != '\0' && std::find(files.begin(), files.end(), bundle) == files.end())
      files.emplace_back(bundle);
  }
  if (files.size() == 1) return {files[0], {}};
  std::string all;
  for (const std::string& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (text.empty()) return {file, {}};
    all += text + "\n";
  }
  return {{}, all};
}

class CurlTransport final : public Transport {
 public:
  explicit CurlTransport(bool started) : handle_(started ? curl_easy_init() : nullptr) {}
  ~CurlTransport() override { curl_easy_cleanup(handle_); }  // takes null
  CurlTransport(const CurlTransport&) = delete;
  CurlTransport& operator=(const CurlTransport&) = delete;

  HttpResponse perform(const HttpRequest& request, const BodySink& body) override {
    HttpResponse response;
    if (handle_ == nullptr) {
      response.trouble = Trouble::invalid;
      response.reason = "libcurl cannot be started";
      return response;
    }
    curl_easy_reset(handle_);  // connections stay
    Exchange exchange{request, body, response, handle_};
    char reason[CURL_ERROR_SIZE] = "";
    curl_slist* headers = nullptr;
    for (const std::string& header : request.headers) headers = curl_slist_append(headers, header.c_str());
    set_request(request, headers);
    set_callbacks(exchange);
    curl_easy_setopt(handle_, CURLOPT_ERRORBUFFER, reason);
    const CURLcode code = curl_easy_perform(handle_);
    curl_slist_free_all(headers);

    curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &response.status);
    char* redirect = nullptr;
    curl_easy_getinfo(handle_, CURLINFO_REDIRECT_URL, &redirect);
    if (redirect != nullptr) response.redirect = redirect;
    curl_off_t wait = 0;
    curl_easy_getinfo(handle_, CURLINFO_RETRY_AFTER, &wait);
    response.retry_after = static_cast<long>(wait);
    response.trouble = trouble_of(code, handle_);
    if (exchange.stalled) {
      response.trouble = Trouble::broken;
      response.reason = "no byte for " + std::to_string(request.timeout.count()) + " s";
      return response;
    }
    if (response.trouble != Trouble::none) response.reason = *reason != '\0' ? reason : curl_easy_strerror(code);
    return response;
  }

 private:
  void set_request(const HttpRequest& request, curl_slist* headers) {
    curl_easy_setopt(handle_, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(handle_, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle_, CURLOPT_NOBODY, request.head ? 1L : 0L);
    curl_easy_setopt(handle_, CURLOPT_HTTPHEADER, headers);
    const std::string agent = "onnxport/" + std::string(version);
    curl_easy_setopt(handle_, CURLOPT_USERAGENT, agent.c_str());
    curl_easy_setopt(handle_, CURLOPT_CONNECTTIMEOUT, static_cast<long>(request.timeout.count()));
    curl_easy_setopt(handle_, CURLOPT_BUFFERSIZE, 512L * 1024);
    curl_easy_setopt(handle_, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(handle_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    // Signals are the program's own.
    curl_easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);
    set_certificates();
  }

  /// Trusts what every file that the environment names holds. A file that cannot be read is left to libcurl, whose
  /// error names it.
  void set_certificates() {
    if (!trusted_.file.empty()) curl_easy_setopt(handle_, CURLOPT_CAINFO, trusted_.file.c_str());
    curl_blob blob{trusted_.bytes.data(), trusted_.bytes.size(), CURL_BLOB_NOCOPY};
    if (!trusted_.bytes.empty()) curl_easy_setopt(handle_, CURLOPT_CAINFO_BLOB, &blob);
  }

  void set_callbacks(Exchange& exchange) {
    curl_easy_setopt(handle_, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle_, CURLOPT_HEADERDATA, &exchange);
    curl_easy_setopt(handle_, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle_, CURLOPT_WRITEDATA, &exchange);
    curl_easy_setopt(handle_, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(handle_, CURLOPT_XFERINFODATA, &exchange);
    curl_easy_setopt(handle_, CURLOPT_NOPROGRESS, 0L);
  }

  CURL* handle_;
  Certificates trusted_ = certificates_of_environment();
};

}  // namespace
}  // namespace onnxport::hub

extern "C" __attribute__((visibility("default"))) const char* onnxport_transport_stamp() {
  return ONNXPORT_TRANSPORT_STAMP;
}

/// The caller owns it. [any-thread]
extern "C" __attribute__((visibility("default"))) onnxport::hub::Transport* onnxport_transport() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  return new onnxport::hub::CurlTransport(started == CURLE_OK);
}
