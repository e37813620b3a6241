#include "http_get.h"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "runwire/error.h"
#include "status.h"

namespace runwire {

namespace {

constexpr std::chrono::seconds kTimeout{10};
constexpr std::size_t kMaxAnswerBytes = 1 << 20;

Error unanswered(const std::string& problem) {
  return Error(Code::kUnavailable, problem);
}

// OpenSSL writes without MSG_NOSIGNAL: a server that hangs up must not end this process.
class NoSigPipe {
 public:
  NoSigPipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoSigPipe() {
    const timespec none{0, 0};
    if (sigismember(&before_, SIGPIPE) == 0) sigtimedwait(&pipe_, nullptr, &none);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoSigPipe(const NoSigPipe&) = delete;
  NoSigPipe& operator=(const NoSigPipe&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
};

// A socket that never blocks.
class Socket {
 public:
  explicit Socket(const addrinfo& address)
      : handle_(::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, 0)) {
    if (handle_ >= 0) fcntl(handle_, F_SETFL, fcntl(handle_, F_GETFL) | O_NONBLOCK);
  }
  ~Socket() {
    if (handle_ >= 0) ::close(handle_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int handle() const { return handle_; }

  // False: not within this time. Throws Error as `until` says.
  bool await(short events, Steady::time_point time, const Until& until) const {
    while (Steady::now() < time) {
      pollfd one{handle_, events, 0};
      if (poll(&one, 1, static_cast<int>(until.pause().count())) > 0) return true;
    }
    return false;
  }

  // False, with errno: nobody is there.
  bool connect(const addrinfo& address, const Until& until) const {
    if (handle_ < 0) return false;
    if (::connect(handle_, address.ai_addr, address.ai_addrlen) == 0) return true;
    if (errno != EINPROGRESS) return false;
    int problem = ETIMEDOUT;
    socklen_t size = sizeof problem;
    if (await(POLLOUT, Steady::now() + kTimeout, until)) {
      getsockopt(handle_, SOL_SOCKET, SO_ERROR, &problem, &size);
    }
    errno = problem;
    return problem == 0;
  }

 private:
  const int handle_;
};

// To the first of its addresses that answers.
std::unique_ptr<Socket> connect(const Endpoint& server, const Until& until) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(server.port);
  if (const int error = getaddrinfo(server.host.c_str(), port.c_str(), &hints, &found);
      error != 0) {
    throw unanswered(gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  int problem = 0;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    auto made = std::make_unique<Socket>(*one);
    if (made->connect(*one, until)) return made;
    problem = errno;
  }
  throw unanswered(std::strerror(problem));
}

// A connection, in the clear. What it sends and receives takes 10 s in all, at most.
class Line {
 public:
  Line(const Endpoint& server, const Until& until)
      : until_(until), socket_(connect(server, until)), end_(Steady::now() + kTimeout) {}
  virtual ~Line() = default;
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  virtual long send(const char* data, std::size_t size) {
    return once_ready(POLLOUT, [&] { return ::send(handle(), data, size, MSG_NOSIGNAL); });
  }
  virtual long receive(char* data, std::size_t size) {
    return once_ready(POLLIN, [&] { return ::recv(handle(), data, size, 0); });
  }

 protected:
  int handle() const { return socket_->handle(); }
  bool await(short events) const { return socket_->await(events, end_, until_); }

 private:
  template <class Call>
  long once_ready(short events, const Call& call) const {
    while (true) {
      const long done = call();
      const bool must_wait = done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
      if (!must_wait || !await(events)) return done;
    }
  }

  const Until& until_;
  const std::unique_ptr<Socket> socket_;
  const Steady::time_point end_;
};

class TlsLine : public Line {
 public:
  TlsLine(const Endpoint& server, const std::string& ca_file, const Until& until)
      : Line(server, until) {
    trust(ca_file);
    tls_.reset(SSL_new(context_.get()));
    SSL_set_fd(tls_.get(), handle());
    X509_VERIFY_PARAM* const expected = SSL_get0_param(tls_.get());
    if (X509_VERIFY_PARAM_set1_ip_asc(expected, server.host.c_str()) != 1) {
      X509_VERIFY_PARAM_set1_host(expected, server.host.c_str(), 0);
      SSL_set_tlsext_host_name(tls_.get(), server.host.c_str());
    }
    if (once_ready([&] { return SSL_connect(tls_.get()); }) != 1) {
      throw unanswered("TLS: " + problem());
    }
  }

  long send(const char* data, std::size_t size) override {
    return once_ready([&] { return SSL_write(tls_.get(), data, static_cast<int>(size)); });
  }
  long receive(char* data, std::size_t size) override {
    return once_ready([&] { return SSL_read(tls_.get(), data, static_cast<int>(size)); });
  }

 private:
  template <class Call>
  int once_ready(const Call& call) const {
    while (true) {
      ERR_clear_error();
      const int done = call();
      if (done > 0) return done;
      const int problem = SSL_get_error(tls_.get(), done);
      if (problem != SSL_ERROR_WANT_READ && problem != SSL_ERROR_WANT_WRITE) return done;
      if (!await(problem == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT)) return done;
    }
  }

  void trust(const std::string& ca_file) {
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    if (ca_file.empty()) {
      SSL_CTX_set_default_verify_paths(context_.get());
    } else if (SSL_CTX_load_verify_locations(context_.get(), ca_file.c_str(), nullptr) != 1) {
      throw invalid("RUNWIRE_CA_FILE", ca_file + ": " + problem());
    }
  }

  std::string problem() const {
    const long verified = tls_ ? SSL_get_verify_result(tls_.get()) : X509_V_OK;
    if (verified != X509_V_OK) return X509_verify_cert_error_string(verified);
    const char* const reason = ERR_reason_error_string(ERR_get_error());
    return reason == nullptr ? "the connection ended" : reason;
  }

  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{SSL_CTX_new(TLS_client_method()),
                                                             &SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> tls_{nullptr, &SSL_free};
};

std::string ask(Line& line, std::string_view request) {
  while (!request.empty()) {
    const long sent = line.send(request.data(), request.size());
    if (sent <= 0) throw unanswered("the connection ended");
    request.remove_prefix(static_cast<std::size_t>(sent));
  }
  std::string raw;
  std::array<char, 16384> buffer{};
  while (raw.size() < kMaxAnswerBytes) {
    const long received = line.receive(buffer.data(), buffer.size());
    if (received <= 0) break;
    raw.append(buffer.data(), static_cast<std::size_t>(received));
  }
  if (raw.empty()) throw unanswered("no answer");
  return raw;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char one) { return static_cast<char>(std::tolower(one)); });
  return text;
}

// Nothing where the end is missing.
std::optional<std::string> joined_chunks(std::string_view body) {
  std::string whole;
  while (true) {
    const auto line = body.find("\r\n");
    if (line == std::string_view::npos) return std::nullopt;
    const auto size = std::strtoul(std::string(body.substr(0, line)).c_str(), nullptr, 16);
    body.remove_prefix(line + 2);
    if (size == 0) return whole;
    if (size >= body.size()) return std::nullopt;
    whole += body.substr(0, size);
    body.remove_prefix(std::min<std::size_t>(body.size(), size + 2));
  }
}

// The body of all that came after the headers; nothing where a part of it is missing.
std::optional<std::string> whole_body(const std::string& headers, const std::string& rest) {
  constexpr std::string_view kLength = "\r\ncontent-length:";
  if (headers.find("\r\ntransfer-encoding: chunked") != std::string::npos) {
    return joined_chunks(rest);
  }
  const auto found = headers.find(kLength);
  if (found == std::string::npos) return rest;
  const auto length = std::strtoull(headers.c_str() + found + kLength.size(), nullptr, 10);
  if (length > rest.size()) return std::nullopt;
  return rest.substr(0, length);
}

}  // namespace

HttpAnswer parse_http_answer(const std::string& raw) {
  constexpr std::string_view kProtocol = "HTTP/";
  HttpAnswer answer;
  if (raw.compare(0, kProtocol.size(), kProtocol.substr(0, raw.size())) != 0) return answer;
  // More is not read: what says so much is not what is asked for, and no cut one.
  const bool is_huge = raw.size() >= kMaxAnswerBytes;
  const auto end = raw.find("\r\n\r\n");
  if (end == std::string::npos) {
    if (is_huge) return answer;
    throw unanswered("the answer was cut");
  }
  answer.status = std::atoi(raw.c_str() + std::min(raw.find(' '), raw.size()));
  auto body = whole_body(lower(raw.substr(0, end)), raw.substr(end + 4));
  if (!body && !is_huge) throw unanswered("the answer was cut");
  answer.body = std::move(body).value_or("");
  return answer;
}

HttpAnswer http_get(const Endpoint& server, const std::string& path, bool secure,
                    const std::string& ca_file, const Until& until) {
  const NoSigPipe no_sig_pipe;
  const std::unique_ptr<Line> line = secure ? std::make_unique<TlsLine>(server, ca_file, until)
                                            : std::make_unique<Line>(server, until);
  return parse_http_answer(ask(*line, "GET " + path + " HTTP/1.1\r\nHost: " + server.text() +
                                          "\r\nAccept: application/json\r\n" +
                                          "Connection: close\r\n\r\n"));
}

}  // namespace runwire
