#include "http_get.h"

#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <memory>

#include "runwire/error.h"
#include "status.h"

namespace runwire {

namespace {

constexpr timeval kTimeout{10, 0};
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

class Socket {
 public:
  explicit Socket(const Endpoint& server) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const std::string port = std::to_string(server.port);
    if (const int error = getaddrinfo(server.host.c_str(), port.c_str(), &hints, &found);
        error != 0) {
      throw unanswered(gai_strerror(error));
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
    for (const addrinfo* one = found; one != nullptr && !connect(*one); one = one->ai_next) {
    }
    if (handle_ < 0) throw unanswered(std::strerror(errno));
  }
  ~Socket() {
    if (handle_ >= 0) ::close(handle_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int handle() const { return handle_; }

 private:
  bool connect(const addrinfo& address) {
    const int made = socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, 0);
    if (made < 0) return false;
    setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &kTimeout, sizeof kTimeout);
    setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &kTimeout, sizeof kTimeout);
    if (::connect(made, address.ai_addr, address.ai_addrlen) == 0) {
      handle_ = made;
      return true;
    }
    const int problem = errno;
    ::close(made);
    errno = problem;
    return false;
  }

  int handle_ = -1;
};

// A connection, in the clear.
class Line {
 public:
  explicit Line(const Endpoint& server) : socket_(server) {}
  virtual ~Line() = default;
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  virtual long send(const char* data, std::size_t size) {
    return ::send(socket_.handle(), data, size, MSG_NOSIGNAL);
  }
  virtual long receive(char* data, std::size_t size) {
    return ::recv(socket_.handle(), data, size, 0);
  }

 protected:
  int handle() const { return socket_.handle(); }

 private:
  Socket socket_;
};

class TlsLine : public Line {
 public:
  TlsLine(const Endpoint& server, const std::string& ca_file) : Line(server) {
    trust(ca_file);
    tls_.reset(SSL_new(context_.get()));
    SSL_set_fd(tls_.get(), handle());
    X509_VERIFY_PARAM* const expected = SSL_get0_param(tls_.get());
    if (X509_VERIFY_PARAM_set1_ip_asc(expected, server.host.c_str()) != 1) {
      X509_VERIFY_PARAM_set1_host(expected, server.host.c_str(), 0);
      SSL_set_tlsext_host_name(tls_.get(), server.host.c_str());
    }
    if (SSL_connect(tls_.get()) != 1) throw unanswered("TLS: " + problem());
  }

  long send(const char* data, std::size_t size) override {
    return SSL_write(tls_.get(), data, static_cast<int>(size));
  }
  long receive(char* data, std::size_t size) override {
    return SSL_read(tls_.get(), data, static_cast<int>(size));
  }

 private:
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

std::string joined_chunks(std::string_view body) {
  std::string whole;
  while (true) {
    const auto line = body.find("\r\n");
    if (line == std::string_view::npos) return whole;
    const auto size = std::strtoul(std::string(body.substr(0, line)).c_str(), nullptr, 16);
    body.remove_prefix(line + 2);
    if (size == 0) return whole;
    whole += body.substr(0, size);
    body.remove_prefix(std::min<std::size_t>(body.size(), size + 2));
  }
}

}  // namespace

HttpAnswer parse_http_answer(const std::string& raw) {
  HttpAnswer answer;
  const auto end = raw.find("\r\n\r\n");
  if (raw.compare(0, 5, "HTTP/") != 0 || end == std::string::npos) return answer;
  answer.status = std::atoi(raw.c_str() + std::min(raw.find(' '), raw.size()));
  answer.body = raw.substr(end + 4);
  const std::string headers = lower(raw.substr(0, end));
  if (headers.find("\r\ntransfer-encoding: chunked") != std::string::npos) {
    answer.body = joined_chunks(answer.body);
  }
  return answer;
}

HttpAnswer http_get(const Endpoint& server, const std::string& path, bool secure,
                    const std::string& ca_file) {
  const NoSigPipe no_sig_pipe;
  const std::unique_ptr<Line> line =
      secure ? std::make_unique<TlsLine>(server, ca_file) : std::make_unique<Line>(server);
  return parse_http_answer(ask(*line, "GET " + path + " HTTP/1.1\r\nHost: " + server.text() +
                                          "\r\nAccept: application/json\r\n" +
                                          "Connection: close\r\n\r\n"));
}

}  // namespace runwire
