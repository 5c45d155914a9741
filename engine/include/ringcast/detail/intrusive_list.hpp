// Of the library's own; here because what a coroutine waits in is made of it. Not for programs.
//
// A circular doubly linked list whose links are members of what it links: nothing is allocated, and an element leaves
// by itself, without knowing its list. One thread.
#pragma once

namespace ringcast::engine {

// An object that can be in several lists inherits one type derived from this for each (the tag tells them apart).
template <class Tag> class list_link {
 public:
  list_link() noexcept = default;
  list_link(const list_link&) = delete;
  list_link& operator=(const list_link&) = delete;
  ~list_link() { unlink(); }

  [[nodiscard]] bool linked() const noexcept { return next_ != nullptr; }

  // Leaves whatever list it is in.
  void unlink() noexcept {
    if (!linked()) return;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = nullptr;
  }

 private:
  template <class T, class OtherTag> friend class intrusive_list;

  list_link* prev_ = nullptr;
  list_link* next_ = nullptr;
};

// T inherits list_link<Tag>. The elements belong to somebody else; a list that is destroyed lets them go.
template <class T, class Tag> class intrusive_list {
 public:
  intrusive_list() noexcept { head_.prev_ = head_.next_ = &head_; }
  intrusive_list(const intrusive_list&) = delete;
  intrusive_list& operator=(const intrusive_list&) = delete;
  ~intrusive_list() {
    while (!empty()) head_.next_->unlink();
  }

  [[nodiscard]] bool empty() const noexcept { return head_.next_ == &head_; }
  [[nodiscard]] T& front() noexcept { return static_cast<T&>(*head_.next_); }

  // At the end of the list. The element is in no list of this tag.
  void append(T& element) noexcept {
    list_link<Tag>& link = element;
    link.prev_ = head_.prev_;
    link.next_ = &head_;
    head_.prev_->next_ = &link;
    head_.prev_ = &link;
  }

  // At its beginning, likewise.
  void prepend(T& element) noexcept {
    list_link<Tag>& link = element;
    link.next_ = head_.next_;
    link.prev_ = &head_;
    head_.next_->prev_ = &link;
    head_.next_ = &link;
  }

  // Calls visit(T&) for each element, first to last. The call must not change the list.
  template <class Visit> void for_each(Visit&& visit) const {
    for (auto* link = head_.next_; link != &head_; link = link->next_) visit(static_cast<const T&>(*link));
  }

 private:
  list_link<Tag> head_;
};

} // namespace ringcast::engine
