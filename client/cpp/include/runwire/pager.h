/// @file
/// Lists that are fetched while they are read.
#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace runwire {

/// Everything that a search found, a page at a time: `for (const auto& run : found)`. To be read
/// once; fetching throws `Error`.
template <class T>
class Pager {
 public:
  /// What one call brings.
  struct Page {
    std::vector<T> items;
    std::string next_page_token;
  };
  using Fetch = std::function<Page(const std::string& page_token)>;

  /// An input iterator.
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = const T&;

    iterator() = default;
    reference operator*() const { return pager_->page_.items[pager_->at_]; }
    pointer operator->() const { return &**this; }
    iterator& operator++() {
      ++pager_->at_;
      settle();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& one, const iterator& other) {
      return one.pager_ == other.pager_;
    }
    friend bool operator!=(const iterator& one, const iterator& other) { return !(one == other); }

   private:
    friend class Pager;
    explicit iterator(Pager* pager) : pager_(pager) { settle(); }
    void settle() {
      if (!pager_->has_item()) pager_ = nullptr;
    }
    Pager* pager_ = nullptr;
  };

  explicit Pager(Fetch fetch) : fetch_(std::move(fetch)) {}

  iterator begin() { return iterator(this); }
  iterator end() { return iterator(); }

  /// All that is left of it.
  std::vector<T> to_vector() { return std::vector<T>(begin(), end()); }

 private:
  bool has_item() {
    while (at_ == page_.items.size()) {
      if (begun_ && page_.next_page_token.empty()) return false;
      page_ = fetch_(page_.next_page_token);
      begun_ = true;
      at_ = 0;
    }
    return true;
  }

  Fetch fetch_;
  Page page_;
  std::size_t at_ = 0;
  bool begun_ = false;
};

}  // namespace runwire
