// SPDX-License-Identifier: Apache-2.0
// An HTTP server on the loopback interface whose answers a test decides, broken ones included.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace hub_test {

struct Request {
  std::string method, target;                  // "GET", "/path?query"
  std::map<std::string, std::string> headers;  // by name in lower case
  std::string line() const { return method + " " + target; }
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
};

struct Reply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::optional<size_t> length;  ///< what Content-Length says, where not the truth
  std::optional<size_t> cut;     ///< the connection ends after that many bytes of the body
  std::optional<size_t> stall;   ///< it stands still after that many bytes, until the server ends
  int pause_ms = 0;              ///< before each of 16 parts of the body
};

/// One thread a connection, kept alive.
class Server {
 public:
  using Handler = std::function<Reply(const Request&)>;
  explicit Server(Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// "http://127.0.0.1:PORT"
  std::string address() const;

 private:
  using Socket = boost::asio::ip::tcp::socket;
  void accept();
  void serve(Socket& socket);
  bool send(Socket& socket, const Request& request, const Reply& reply);
  bool send_body(Socket& socket, const Reply& reply);

  Handler handler_;
  boost::asio::io_context context_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::list<Socket> sockets_;
  std::list<std::thread> threads_;
  std::thread acceptor_thread_;
};

}  // namespace hub_test
