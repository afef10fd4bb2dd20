// SPDX-License-Identifier: Apache-2.0
#include "server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <chrono>

namespace hub_test {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// Of Boost's own views, whose type differs between its versions.
std::string text(auto view) {
  return {view.data(), view.size()};
}

bool put(Tcp::socket& socket, std::string_view bytes) {
  boost::system::error_code error;
  asio::write(socket, asio::buffer(bytes.data(), bytes.size()), error);
  return !error;
}

}  // namespace

Server::Server(Handler handler)
    : handler_(std::move(handler)),
      acceptor_(context_, Tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
      acceptor_thread_([this] { accept(); }) {}

Server::~Server() {
  stopped_ = true;
  boost::system::error_code ignored;
  // Wakes the thread that accepts.
  Tcp::socket last(context_);
  last.connect(acceptor_.local_endpoint(), ignored);
  acceptor_thread_.join();
  {
    const std::lock_guard lock(mutex_);
    for (Socket& socket : sockets_) socket.shutdown(Tcp::socket::shutdown_both, ignored);
  }
  for (std::thread& thread : threads_) thread.join();
}

std::string Server::address() const {
  return fmt::format("http://127.0.0.1:{}", acceptor_.local_endpoint().port());
}

void Server::accept() {
  while (!stopped_) {
    boost::system::error_code error;
    Socket socket(context_);
    acceptor_.accept(socket, error);
    if (error || stopped_) continue;
    const std::lock_guard lock(mutex_);
    Socket& kept = sockets_.emplace_back(std::move(socket));
    threads_.emplace_back([this, &kept] { serve(kept); });
  }
}

void Server::serve(Socket& socket) {
  boost::beast::flat_buffer buffer;
  for (;;) {
    http::request<http::empty_body> read;
    boost::system::error_code error;
    http::read(socket, buffer, read, error);
    if (error) break;
    Request request{text(read.method_string()), text(read.target()), {}};
    for (const auto& field : read) request.headers[lower(text(field.name_string()))] = text(field.value());
    if (!send(socket, request, handler_(request))) break;
  }
  boost::system::error_code ignored;
  const std::lock_guard lock(mutex_);
  socket.shutdown(Tcp::socket::shutdown_both, ignored);
}

bool Server::send(Socket& socket, const Request& request, const Reply& reply) {
  std::string head = fmt::format("HTTP/1.1 {} Answer\r\nContent-Length: {}\r\n", reply.status,
                                 reply.length.value_or(reply.body.size()));
  for (const auto& [name, value] : reply.headers) head += fmt::format("{}: {}\r\n", name, value);
  if (!put(socket, head + "\r\n")) return false;
  return request.method == "HEAD" || send_body(socket, reply);
}

bool Server::send_body(Socket& socket, const Reply& reply) {
  const std::string_view body = reply.body;
  const size_t end = std::min({body.size(), reply.cut.value_or(body.size()), reply.stall.value_or(body.size())});
  const size_t part = reply.pause_ms > 0 ? std::max<size_t>(1, end / 16) : std::max<size_t>(1, end);
  for (size_t at = 0; at < end; at += part) {
    if (reply.pause_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(reply.pause_ms));
    if (stopped_ || !put(socket, body.substr(at, std::min(part, end - at)))) return false;
  }
  while (reply.stall && !stopped_) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  // A length that is not the truth leaves the two sides out of step.
  return !reply.cut && !reply.stall && !reply.length;
}

}  // namespace hub_test
