// SHA-256 as digests of artifacts are written.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace runwire {

class Sha256 {
 public:
  Sha256();

  void update(std::string_view data);
  // "sha256:" and 64 hex digits, of all that came; once.
  std::string digest();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace runwire
