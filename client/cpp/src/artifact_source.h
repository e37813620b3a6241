// What is sent, and where what is received goes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

#include "runwire/v1/artifact.pb.h"

namespace runwire {

// Bytes to send. They were hashed when it was made, and must not change.
class Source {
 public:
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  const v1::Blob& blob() const { return blob_; }
  // `size` bytes from `offset` on, which are there. Throws where they are not.
  virtual std::string read(std::int64_t offset, std::size_t size) = 0;
  // Of the file; unset: now.
  std::optional<std::filesystem::file_time_type> modify_time;

 protected:
  Source() = default;
  v1::Blob blob_;
};

class BytesSource : public Source {
 public:
  explicit BytesSource(std::string_view data);
  std::string read(std::int64_t offset, std::size_t size) override;

 private:
  std::string_view data_;
};

// From where the stream stands to its end.
class StreamSource : public Source {
 public:
  explicit StreamSource(std::istream& stream);
  std::string read(std::int64_t offset, std::size_t size) override;

 private:
  std::istream& stream_;
  std::int64_t start_ = 0;
};

class FileSource : public Source {
 public:
  explicit FileSource(const std::filesystem::path& path);
  std::string read(std::int64_t offset, std::size_t size) override;

 private:
  std::filesystem::path path_;
  std::ifstream file_;
  std::optional<StreamSource> stream_;
};

// A file that is under its name after commit(), or not at all.
class AppearingFile {
 public:
  explicit AppearingFile(std::filesystem::path path);
  ~AppearingFile();
  AppearingFile(const AppearingFile&) = delete;
  AppearingFile& operator=(const AppearingFile&) = delete;

  std::ostream& stream() { return file_; }
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path part_;
  std::ofstream file_;
  bool committed_ = false;
};

}  // namespace runwire
