// Trees of sums of two and three operands: the native form of hwq/passes/adders/trees.py, which says what is computed and why; both give
// the same result. Numbers are bounds of terms shifted up to a common place: all below 2^60, or, in numbers of 128 bits, below 2^124.
#include <algorithm>
#include <climits>
#include <cstdint>
#include <new>
#include <vector>

namespace {

using std::vector;
using Wide = __int128;
using WideMask = unsigned __int128;

constexpr int kMany = 14, kDeepest = 36;

int ones_in(uint64_t v) { return __builtin_popcountll(v); }
int ones_in(WideMask v) { return ones_in(static_cast<uint64_t>(v)) + ones_in(static_cast<uint64_t>(v >> 64)); }
int length_of(uint64_t v) { return v ? 64 - __builtin_clzll(v) : 0; }
int length_of(WideMask v) { return v >> 64 ? 64 + length_of(static_cast<uint64_t>(v >> 64)) : length_of(static_cast<uint64_t>(v)); }
template <class Mask>
int lowest(Mask v) {
    return ones_in(static_cast<Mask>((v & (~v + 1)) - 1));
}

int64_t weight(int depth) {
    int64_t w = 1;
    for (int i = 0; i < std::min(depth, kDeepest + 1); ++i) w *= 3;
    return w;
}

struct Sum {
    int32_t member[3];
};

template <class Int, class Mask>
struct Rows {

struct Term {
    Int low, high;
    int32_t up, sign, depth, number;

    bool constant() const { return low == high; }
};

static int bits_of(Int low, Int high) {
    auto length = [](Int v) { return length_of(static_cast<Mask>(v)); };
    if (low >= 0) return length(high);
    return std::max(length(~low), high > 0 ? length(high) : 0) + 1;
}

static Mask span(int start, int end, int width) {
    end = std::min(end, width);
    return end > start ? (Mask{1} << end) - (Mask{1} << start) : 0;
}

struct Part {
    Int low, high;
    int up, sign, end;

    bool constant() const { return low == high; }
    int settled() const { return end - (low < 0); }
    Mask variable(int width) const { return constant() ? 0 : span(up, low < 0 ? width : end, width); }
    Mask ones(int width) const {
        if (constant()) return ((static_cast<Mask>(low) << up) ^ (sign < 0 ? ~Mask{0} << up : 0)) & span(0, width, width);
        return sign < 0 && low >= 0 ? span(end, width, width) : 0;
    }
};

static Mask at_least_two(const Mask* masks, int count) {
    Mask once = 0, twice = 0;
    for (int i = 0; i < count; ++i) twice |= once & masks[i], once |= masks[i];
    return twice;
}

// `Row.cost`: half look-up tables.
static int row_cost(const Part* parts, int count, int width) {
    Mask here[3] = {0, 0, 0}, varying[4] = {0, 0, 0, 0}, parity = 0, once = 0;
    int units[2], owed = 0, last = 0;
    for (int k = 0; k < count; ++k) {
        varying[k] = parts[k].variable(width);
        const Mask ones = parts[k].ones(width);
        here[k] = varying[k] | ones;
        parity ^= ones ^ (parts[k].sign < 0 ? varying[k] : 0);
        once |= varying[k];
        if (parts[k].sign < 0 && parts[k].up < width) units[owed++] = parts[k].up;
        last = std::max(last, parts[k].settled());
    }
    last = std::min(last, width - 1);
    if (owed == 2 && units[0] > units[1]) std::swap(units[0], units[1]);
    const Mask twice = (here[0] & here[1]) | (here[2] & (here[0] | here[1])), thrice = here[0] & here[1] & here[2];
    Mask started = twice;
    for (int k = 0; k < owed; ++k) started |= Mask{1} << units[k];
    const int start = started ? lowest(started) : width;
    int at_start = 0;
    for (int k = 0; k < owed; ++k) at_start += units[k] == start;
    const bool early = at_start == 1 && !(thrice >> start & 1);
    Mask slots = 0;
    for (int k = early || at_start == 2 ? 1 : 0; k < owed; ++k) slots |= Mask{1} << units[k];
    Mask seeds = thrice | (slots & twice), carries = 0;
    while (seeds & ~carries) {
        carries |= seeds;
        seeds = carries << 1 & twice;
    }
    varying[count] = (carries & span(0, std::min(last + 1, width - 1), width)) << 1;
    const Mask several = at_least_two(varying, count + 1), all = span(start, width, width);
    const int tables = ones_in(several & span(start, last + 2, width));
    return 2 * tables + ones_in(once & ~several & (parity ^ slots) & all);
}

struct Group {
    int64_t waste;
    int32_t depth, width, cost;
    int32_t member[3];

    bool operator<(const Group& o) const {
        if (waste != o.waste) return waste < o.waste;
        if (depth != o.depth) return depth < o.depth;
        if (width != o.width) return width < o.width;
        return std::lexicographical_compare(member, member + 3, o.member, o.member + 3);
    }
};

class Tree {
  public:
    Tree(vector<Term> terms, int limit, int arity) : terms_(std::move(terms)), arity_(arity) {
        limit_ = weight(limit);
        for (const Term& t : terms_) room_ += weight(t.depth);
        next_ = static_cast<int32_t>(terms_.size());
    }

    // what: 0 the least waste; 1 an even number of terms starts with the best pair, then threes; 2 threes as long as there are
    void build(int what) {
        bool pair = what == 1 && terms_.size() % 2 == 0;
        while (terms_.size() > 1) {
            const bool two = arity_ == 2 || what == 0 || pair, three = arity_ == 3 && !pair;
            Group best;
            if (!choose(best, two, three) && !choose(best, true, arity_ == 3)) choose(best, true, arity_ == 3, false);
            pair = false;
            join(best);
        }
    }

    int64_t cost = 0;
    vector<Sum> sums;
    int depth() const { return terms_[0].depth; }

  private:
    vector<Term> terms_;
    int arity_;
    int64_t limit_ = 0, room_ = 0;
    int32_t next_ = 0;

    bool choose(Group& best, bool two, bool three, bool bounded = true) const {
        vector<int> order(terms_.size());
        for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
        auto top = [&](int i) { return bits_of(terms_[i].low, terms_[i].high); };
        std::sort(order.begin(), order.end(), [&](int u, int v) {
            const Term &a = terms_[u], &b = terms_[v];
            if (a.depth != b.depth) return a.depth < b.depth;
            const int ta = top(u), tb = top(v);
            return ta != tb ? ta < tb : u < v;
        });
        if (order.size() > kMany) order.resize(kMany);
        std::sort(order.begin(), order.end());
        bool found = false;
        auto consider = [&](int i, int j, int k) {
            if (bounded && room_ + growth(i, j, k) > limit_) return;
            const Group g = judge(i, j, k);
            if (!found || g < best) best = g, found = true;
        };
        for (size_t u = 0; u < order.size(); ++u)
            for (size_t v = u + 1; v < order.size(); ++v) {
                if (two) consider(order[u], order[v], -1);
                if (three)
                    for (size_t w = v + 1; w < order.size(); ++w) consider(order[u], order[v], order[w]);
            }
        return found;
    }

    int64_t growth(int i, int j, int k) const {
        int deepest = std::max(terms_[i].depth, terms_[j].depth);
        int64_t gone = weight(terms_[i].depth) + weight(terms_[j].depth);
        if (k >= 0) deepest = std::max(deepest, terms_[k].depth), gone += weight(terms_[k].depth);
        return weight(deepest + 1) - gone;
    }

    Term joined(const int* member) const {
        Term out{0, 0, INT_MAX, -1, 0, next_};
        for (int n = 0; n < 3 && member[n] >= 0; ++n)
            if (terms_[member[n]].sign > 0) out.sign = 1;
        for (int n = 0; n < 3 && member[n] >= 0; ++n) {
            const Term& t = terms_[member[n]];
            const bool plus = t.sign == out.sign;
            out.low += plus ? t.low : -t.high;
            out.high += plus ? t.high : -t.low;
            out.up = std::min(out.up, t.up);
            out.depth = std::max(out.depth, t.depth);
        }
        ++out.depth;
        return out;
    }

    Group judge(int i, int j, int k) const {
        Group g{0, 0, 0, 0, {i, j, k}};
        const Term out = joined(g.member);
        Part parts[3];
        int count = 0;
        int64_t dots = 0;
        for (int n = 0; n < 3 && g.member[n] >= 0; ++n) {
            const Term& t = terms_[g.member[n]];
            const Int low = t.low >> t.up, high = t.high >> t.up;
            const int up = t.up - out.up, bits = bits_of(low, high);
            if (!t.constant()) dots += bits;
            parts[count++] = {low, high, up, t.sign == out.sign ? 1 : -1, up + bits};
        }
        g.width = bits_of(out.low >> out.up, out.high >> out.up);
        g.cost = row_cost(parts, count, g.width);
        g.waste = g.cost - (dots - g.width);
        g.depth = out.depth;
        return g;
    }

    void join(const Group& g) {
        room_ += growth(g.member[0], g.member[1], g.member[2]);
        cost += g.cost;
        Sum sum{{-1, -1, -1}};
        for (int n = 0; n < 3 && g.member[n] >= 0; ++n) sum.member[n] = terms_[g.member[n]].number;
        sums.push_back(sum);
        Term out = joined(g.member);
        ++next_;
        for (int n = 2; n > 0; --n)
            if (g.member[n] >= 0) terms_.erase(terms_.begin() + g.member[n]);
        terms_[g.member[0]] = out;
    }
};

static int32_t cheapest(const vector<Term>& terms, int limit, int arity, int32_t* rows, int64_t* cost) {
    vector<Sum> best;
    int64_t least = INT64_MAX;
    int depth = 0;
    for (int what = 0; what < (arity == 3 && terms.size() > 3 ? 3 : 1); ++what) {
        Tree tree(terms, limit, arity);
        tree.build(what);
        if (tree.cost < least || (tree.cost == least && tree.depth() < depth))
            least = tree.cost, depth = tree.depth(), best = std::move(tree.sums);
    }
    *cost = least;
    for (const Sum& sum : best)
        for (int32_t member : sum.member) *rows++ = member;
    return static_cast<int32_t>(best.size());
}
};

}  // namespace

extern "C" {

// The cheapest tree over `count` terms, at most `limit` rows deep. Terms (count, 3) as up, sign, depth. Writes the rows (count - 1, 3): the
// numbers of their terms, a row's own number being count + its place, -1 for none; returns how many there are, -1 when memory runs out.
int32_t hwq_rows_tree(int32_t count, const int64_t* low, const int64_t* high, const int32_t* given, int32_t limit, int32_t arity,
                      int32_t* rows, int64_t* cost) {
    using Here = Rows<int64_t, uint64_t>;
    try {
        vector<Here::Term> terms;
        for (int32_t i = 0; i < count; ++i)
            terms.push_back({low[i], high[i], given[3 * i], given[3 * i + 1], given[3 * i + 2], i});
        return Here::cheapest(terms, limit, arity, rows, cost);
    } catch (const std::bad_alloc&) {
        return -1;
    }
}

// As hwq_rows_tree, of numbers of 128 bits: each two words of `low` and `high`, the lower first.
int32_t hwq_rows_tree_wide(int32_t count, const uint64_t* low, const uint64_t* high, const int32_t* given, int32_t limit, int32_t arity,
                           int32_t* rows, int64_t* cost) {
    using Here = Rows<Wide, WideMask>;
    auto number = [](const uint64_t* words) { return static_cast<Wide>(static_cast<WideMask>(words[1]) << 64 | words[0]); };
    try {
        vector<Here::Term> terms;
        for (int32_t i = 0; i < count; ++i)
            terms.push_back({number(low + 2 * i), number(high + 2 * i), given[3 * i], given[3 * i + 1], given[3 * i + 2], i});
        return Here::cheapest(terms, limit, arity, rows, cost);
    } catch (const std::bad_alloc&) {
        return -1;
    }
}
}
