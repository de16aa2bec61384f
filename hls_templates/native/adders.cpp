// Constant matrix times vector as one shared adder graph. hwq/passes/adders/search.py is the same search in Python and the
// specification of this file: the two give the same operations, number for number.
//
// A column is a set of digits, each a wire times +-2^position. Stage 1 takes, again and again, the pair of digits
// (wire a, wire b << shift, relative sign) whose sharing saves most, makes it a wire, and puts that wire in the pair's place
// in every column. Stage 2 adds up what is left of each column, cheapest adder first.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <queue>
#include <utility>
#include <vector>

namespace {

using std::int32_t;
using std::int64_t;
using std::uint64_t;
using std::vector;

constexpr int kPlain = 0, kSubtract = 1, kReverse = 2;  // a + (b << d), a - (b << d), (b << d) - a

struct Operation {
    int32_t a, b, shift, kind;
};

struct Digit {
    int32_t wire, position, sign;
};

struct Place {  // where a wire is used: column and position in one number, ascending
    int64_t key;
    int32_t sign;
};

using Form = vector<std::pair<int32_t, int64_t>>;  // (input, coefficient), by input: what a wire is worth

struct Wire {
    int64_t low, high;
    int32_t depth;
    Form form;
};

Form combine(const Form& x, const Form& y, int shift, int kind) {
    Form out;
    out.reserve(x.size() + y.size());
    const int64_t sx = kind == kReverse ? -1 : 1, sy = kind == kSubtract ? -1 : 1;
    size_t i = 0, j = 0;
    while (i < x.size() || j < y.size()) {
        const int32_t u = i < x.size() ? x[i].first : INT32_MAX, v = j < y.size() ? y[j].first : INT32_MAX;
        const int32_t input = std::min(u, v);
        int64_t c = 0;
        if (u == input) c += sx * x[i++].second;
        if (v == input) c += sy * (y[j++].second * (int64_t{1} << shift));
        if (c) out.emplace_back(input, c);
    }
    return out;
}

void bounds(const Form& form, const int64_t* low, const int64_t* high, int64_t& least, int64_t& most) {
    least = most = 0;
    for (const auto& [input, c] : form) {
        least += c * (c > 0 ? low[input] : high[input]);
        most += c * (c > 0 ? high[input] : low[input]);
    }
}

constexpr int64_t kStride = 4096;  // more than any two positions are apart

int bits_of(int64_t low, int64_t high) {
    if (low == 0 && high == 0) return 0;
    uint64_t top = 0;
    if (high > 0) top = static_cast<uint64_t>(high);
    if (low < 0) top = std::max(top, static_cast<uint64_t>(-(low + 1)));
    int n = top ? 64 - __builtin_clzll(top) : 0;
    return n + (low < 0 ? 1 : 0);
}

struct Range {
    int64_t low, high;
};

Range combined(const Range& a, const Range& b, int shift, int kind) {
    const int64_t scale = int64_t{1} << shift, bl = b.low * scale, bh = b.high * scale;
    if (kind == kPlain) return {a.low + bl, a.high + bh};
    if (kind == kSubtract) return {a.low - bh, a.high - bl};
    return {bl - a.high, bh - a.low};
}

// What an adder takes, in half LUTs: `adder_cost` in problem.py has the reasons.
int adder_cost(const Range& a, const Range& b, const Range& out, int shift, int kind) {
    const int wide_a = bits_of(a.low, a.high), wide_b = bits_of(b.low, b.high) + shift;
    const int end = std::min(bits_of(out.low, out.high), std::max(wide_a, wide_b));
    const int start = kind == kReverse ? 0 : shift;
    const int top_a = a.low < 0 ? end : std::min(wide_a, end), top_b = b.low < 0 ? end : std::min(wide_b, end);
    const int both = std::max(std::min(top_a, top_b) - shift, 0);
    if (kind == kPlain) return 2 * both;
    return 2 * (both + (start == shift && both > 0)) + std::max(end - start - both, 0);
}

// Pair counts: open addressing, a key is never 0.
class Counts {
  public:
    Counts() : slots_(1 << 12), used_(0) {}

    int32_t& at(uint64_t key) {
        if (used_ * 10 >= slots_.size() * 6) grow();
        size_t i = find(key);
        if (slots_[i].key == 0) {
            slots_[i].key = key;
            ++used_;
        }
        return slots_[i].count;
    }

    int32_t get(uint64_t key) const {
        return slots_[find(key)].count;
    }

    template <typename F>
    void each(F f) const {
        for (const Slot& s : slots_)
            if (s.key && s.count > 1) f(s.key, s.count);
    }

  private:
    struct Slot {
        uint64_t key = 0;
        int32_t count = 0;
    };
    vector<Slot> slots_;
    size_t used_;

    size_t find(uint64_t key) const {
        const size_t mask = slots_.size() - 1;
        uint64_t h = key * 0x9E3779B97F4A7C15ull;
        size_t i = static_cast<size_t>(h >> 20) & mask;
        while (slots_[i].key && slots_[i].key != key) i = (i + 1) & mask;
        return i;
    }

    void grow() {
        vector<Slot> old;
        old.swap(slots_);
        size_t live = 0;
        for (const Slot& s : old) live += s.key && s.count > 0;
        size_t size = old.size();
        while (live * 10 >= size * 3) size *= 2;
        slots_.assign(size, Slot());
        used_ = 0;
        for (const Slot& s : old)
            if (s.key && s.count > 0) {
                slots_[find(s.key)] = s;
                ++used_;
            }
    }
};

struct Problem {
    int32_t inputs, columns, digits;
    const int64_t *low, *high;
    const int32_t *depth, *block;        // by input; inputs of one block share with each other; block -1: no sharing
    const int32_t *column, *wire, *position, *sign;  // by digit
    int32_t extra_depth;                 // levels above the least possible; negative: no limit
    int32_t count_weight, bit_weight, bit_kind, base;  // of the score
};

class Search {
  public:
    explicit Search(const Problem& p) : p_(p), columns_(p.columns), kraft_(p.columns, 0), limit_(INT64_MAX) {
        for (int32_t i = 0; i < p.inputs; ++i) {
            Wire w{p.low[i], p.high[i], p.depth[i], {}};
            w.form.emplace_back(i, 1);
            wires_.push_back(std::move(w));
        }
        if (p.extra_depth >= 0) {
            for (int32_t k = 0; k < p.digits; ++k) kraft_[p.column[k]] += weight(p.depth[p.wire[k]]);
            int level = 0;
            for (int64_t k : kraft_)
                while ((int64_t{1} << level) < k) ++level;
            if (level + p.extra_depth <= kDeepest) limit_ = int64_t{1} << (level + p.extra_depth);
        }
    }

    void run() {
        int32_t blocks = 0;
        for (int32_t i = 0; i < p_.inputs; ++i) blocks = std::max(blocks, p_.block[i] + 1);
        vector<vector<Digit>> whole(p_.columns);
        vector<vector<int32_t>> of_block(blocks + 1);
        for (int32_t k = 0; k < p_.digits; ++k) {
            int32_t b = p_.block[p_.wire[k]];
            of_block[b < 0 ? blocks : b].push_back(k);
        }
        for (int32_t b = 0; b <= blocks; ++b) {
            for (auto& c : columns_) c.clear();
            for (int32_t k : of_block[b]) columns_[p_.column[k]].push_back({p_.wire[k], p_.position[k], p_.sign[k]});
            if (b < blocks) share();
            for (int32_t j = 0; j < p_.columns; ++j)
                whole[j].insert(whole[j].end(), columns_[j].begin(), columns_[j].end());
        }
        columns_.swap(whole);
        first_sum_ = static_cast<int32_t>(wires_.size());
        for (int32_t j = 0; j < p_.columns; ++j) outputs_.push_back(sum(j));
    }

    vector<Operation> operations_;
    vector<Digit> outputs_;

  private:
    const Problem& p_;
    vector<Wire> wires_;
    vector<vector<Digit>> columns_;
    vector<int64_t> kraft_;  // by column: sum of 2^depth over its digits; a tree of depth L exists while this is <= 2^L
    int64_t limit_;
    int32_t first_sum_ = 0;
    Counts counts_;
    vector<vector<Place>> places_;  // by wire

    // (score, key): the top is the best score, then the newest wires, which takes up to two adders in a hundred fewer than the oldest
    using Entry = std::pair<int64_t, uint64_t>;
    std::priority_queue<Entry> heap_;

    static constexpr int kDeepest = 40;  // of a limit; the Python search has the same

    static int64_t weight(int depth) { return int64_t{1} << std::min(depth, kDeepest + 2); }

    bool limited() const { return limit_ != INT64_MAX; }

    // ---- one adder ----
    Range range(int32_t wire) const { return {wires_[wire].low, wires_[wire].high}; }

    Range estimate(int32_t a, int32_t b, int shift, int kind) const {
        if (a != b) return combined(range(a), range(b), shift, kind);
        const int64_t scale = int64_t{1} << shift;
        const int64_t factor = kind == kPlain ? scale + 1 : kind == kSubtract ? 1 - scale : scale - 1;
        const int64_t u = wires_[a].low * factor, v = wires_[a].high * factor;
        return {std::min(u, v), std::max(u, v)};
    }

    int32_t make(int32_t a, int32_t b, int shift, int kind) {
        Wire w;
        w.form = combine(wires_[a].form, wires_[b].form, shift, kind);
        bounds(w.form, p_.low, p_.high, w.low, w.high);
        w.depth = std::max(wires_[a].depth, wires_[b].depth) + 1;
        wires_.push_back(std::move(w));
        operations_.push_back({a, b, shift, kind});
        return static_cast<int32_t>(wires_.size()) - 1;
    }

    // ---- stage 1: sharing ----
    static uint64_t key_of(const Digit& p, const Digit& q) {
        const Digit *a = &p, *b = &q;
        if (b->position < a->position || (b->position == a->position && b->wire < a->wire)) std::swap(a, b);
        uint64_t shift = static_cast<uint64_t>(b->position - a->position), differ = a->sign != b->sign;
        return (static_cast<uint64_t>(a->wire) + 1) << 37 | static_cast<uint64_t>(b->wire) << 10 | shift << 1 | differ;
    }

    int64_t score(uint64_t key, int32_t count) const {
        int32_t a = static_cast<int32_t>(key >> 37) - 1, b = static_cast<int32_t>(key >> 10 & 0x7FFFFFF);
        int shift = static_cast<int>(key >> 1 & 0x1FF), kind = key & 1 ? kSubtract : kPlain;
        int bits;
        if (p_.bit_kind == 0) {
            Range out = estimate(a, b, shift, kind);
            bits = adder_cost(range(a), range(b), out, shift, kind);
        } else {
            int wa = bits_of(wires_[a].low, wires_[a].high), wb = bits_of(wires_[b].low, wires_[b].high) + shift;
            bits = std::max(0, std::min(wa, wb) - shift);
        }
        return static_cast<int64_t>(count - p_.base) * (p_.count_weight + static_cast<int64_t>(p_.bit_weight) * bits);
    }

    void push(uint64_t key, int32_t count) {
        if (count > 1) heap_.push({score(key, count), key});
    }

    void share() {
        counts_ = Counts();
        heap_ = {};
        places_.assign(wires_.size(), {});
        for (int32_t j = 0; j < p_.columns; ++j) {
            auto& c = columns_[j];
            for (size_t u = 0; u < c.size(); ++u) {
                for (size_t v = u + 1; v < c.size(); ++v) ++counts_.at(key_of(c[u], c[v]));
                places_[c[u].wire].push_back({j * kStride + c[u].position, c[u].sign});
            }
        }
        for (auto& p : places_) std::sort(p.begin(), p.end(), [](const Place& x, const Place& y) { return x.key < y.key; });
        vector<Entry> start;
        counts_.each([&](uint64_t key, int32_t count) { start.push_back({score(key, count), key}); });
        heap_ = std::priority_queue<Entry>(std::less<Entry>(), std::move(start));
        while (!heap_.empty()) {
            auto [value, key] = heap_.top();
            heap_.pop();
            int32_t count = counts_.get(key);
            if (count < 2) continue;
            if (score(key, count) != value) {
                push(key, count);
                continue;
            }
            replace(key);
        }
    }

    void replace(uint64_t key) {
        const int32_t a = static_cast<int32_t>(key >> 37) - 1, b = static_cast<int32_t>(key >> 10 & 0x7FFFFFF);
        const int shift = static_cast<int>(key >> 1 & 0x1FF);
        const bool differ = key & 1;
        const int depth = std::max(wires_[a].depth, wires_[b].depth) + 1;
        vector<Place> found;
        auto &pa = places_[a], &pb = places_[b];
        vector<char> gone_a(pa.size(), 0), gone_b(pb.size(), 0);
        auto& used_b = a == b ? gone_a : gone_b;
        size_t j = 0;
        int64_t growth = weight(depth) - weight(wires_[a].depth) - weight(wires_[b].depth);
        for (size_t i = 0; i < pa.size(); ++i) {
            while (j < pb.size() && pb[j].key < pa[i].key + shift) ++j;
            if (j == pb.size()) break;
            if (pb[j].key != pa[i].key + shift || (pa[i].sign != pb[j].sign) != differ || gone_a[i] || used_b[j]) continue;
            int32_t column = static_cast<int32_t>(pa[i].key / kStride);
            if (limited()) {
                if (kraft_[column] + growth > limit_) continue;
                kraft_[column] += growth;
            }
            gone_a[i] = used_b[j] = 1;
            found.push_back(pa[i]);
        }
        if (found.size() < 2) {
            if (limited())
                for (const Place& place : found) kraft_[place.key / kStride] -= growth;
            counts_.at(key) = 0;  // what is left overlaps itself or is too deep, and will stay so
            return;
        }
        auto sweep = [](vector<Place>& places, const vector<char>& gone) {
            size_t n = 0;
            for (size_t i = 0; i < places.size(); ++i)
                if (!gone[i]) places[n++] = places[i];
            places.resize(n);
        };
        sweep(pa, gone_a);
        if (a != b) sweep(pb, gone_b);
        const int32_t wire = make(a, b, shift, differ ? kSubtract : kPlain);
        places_.push_back(found);
        vector<uint64_t> fresh;
        for (const Place& place : found) {
            int32_t column = static_cast<int32_t>(place.key / kStride), position = static_cast<int32_t>(place.key % kStride);
            const Digit x{a, position, place.sign}, y{b, position + shift, differ ? -place.sign : place.sign};
            const Digit z{wire, position, place.sign};
            auto& c = columns_[column];
            size_t n = 0;
            for (const Digit& d : c) {
                if (d.wire == x.wire && d.position == x.position) continue;
                if (d.wire == y.wire && d.position == y.position) continue;
                c[n++] = d;
            }
            c.resize(n);
            --counts_.at(key_of(x, y));
            for (const Digit& d : c) {
                --counts_.at(key_of(d, x));
                --counts_.at(key_of(d, y));
                uint64_t k = key_of(d, z);
                if (++counts_.at(k) == 2) fresh.push_back(k);
            }
            c.push_back(z);
        }
        for (uint64_t k : fresh) push(k, counts_.get(k));
    }

    // ---- stage 2: what is left of a column ----
    struct Join {
        int32_t cost, depth, width;
        size_t i, j;
        bool operator<(const Join& o) const {
            if (cost != o.cost) return cost < o.cost;
            if (depth != o.depth) return depth < o.depth;
            if (width != o.width) return width < o.width;
            return i != o.i ? i < o.i : j < o.j;
        }
    };

    // The operation that joins two signed terms, and the sign it leaves.
    int kind_of(const Digit& a, const Digit& b, bool keep_positive, int& sign) const {
        if (a.sign == b.sign) {
            sign = a.sign;
            return kPlain;
        }
        if (a.sign < 0 && keep_positive) {
            sign = 1;
            return kReverse;
        }
        sign = a.sign;
        return kSubtract;
    }

    static bool below(const Digit& a, const Digit& b) {
        return a.position != b.position ? a.position < b.position : a.wire < b.wire;
    }

    Join judge(const vector<Digit>& c, size_t i, size_t j, int positives) const {
        if (below(c[j], c[i])) std::swap(i, j);
        const Digit &a = c[i], &b = c[j];
        int sign, shift = b.position - a.position;
        int kind = kind_of(a, b, positives == 1, sign);
        Range out = estimate(a.wire, b.wire, shift, kind);
        const int depth = std::max(wires_[a.wire].depth, wires_[b.wire].depth) + 1;
        return {adder_cost(range(a.wire), range(b.wire), out, shift, kind), depth, bits_of(out.low, out.high), i, j};
    }

    Digit sum(int32_t column) {
        vector<Digit> c = columns_[column];
        if (c.empty()) return {-1, 0, 1};
        while (c.size() > 1) {
            int positives = 0;
            for (const Digit& d : c) positives += d.sign > 0;
            vector<size_t> order(c.size());
            for (size_t i = 0; i < c.size(); ++i) order[i] = i;
            if (c.size() > kMany) {
                // too many for all pairs: only among those that end lowest
                auto top = [&](size_t i) { return bits_of(wires_[c[i].wire].low, wires_[c[i].wire].high) + c[i].position; };
                std::partial_sort(order.begin(), order.begin() + kMany, order.end(), [&](size_t u, size_t v) {
                    int du = wires_[c[u].wire].depth, dv = wires_[c[v].wire].depth, tu = top(u), tv = top(v);
                    if (limited() && du != dv) return du < dv;
                    return tu != tv ? tu < tv : du != dv ? du < dv : u < v;
                });
                order.resize(kMany);
                std::sort(order.begin(), order.end());
            }
            Join best{INT32_MAX, 0, 0, 0, 0};
            for (size_t u = 0; u < order.size(); ++u)
                for (size_t v = u + 1; v < order.size(); ++v) {
                    Join join = judge(c, order[u], order[v], positives);
                    if (join < best && allowed(column, c[join.i], c[join.j])) best = join;
                }
            const Digit a = c[best.i], b = c[best.j];
            int sign, kind = kind_of(a, b, positives == 1, sign);
            if (limited()) kraft_[column] += growth(a, b);
            int32_t wire = make(a.wire, b.wire, b.position - a.position, kind);
            for (int32_t operand : {a.wire, b.wire})  // a sum within this column is read once: its worth is not asked again
                if (operand >= first_sum_) wires_[operand].form = {};
            c[std::min(best.i, best.j)] = {wire, a.position, sign};
            c.erase(c.begin() + static_cast<long>(std::max(best.i, best.j)));
        }
        return c[0];
    }

    static constexpr size_t kMany = 24;

    int64_t growth(const Digit& a, const Digit& b) const {
        int da = wires_[a.wire].depth, db = wires_[b.wire].depth;
        return weight(std::max(da, db) + 1) - weight(da) - weight(db);
    }

    bool allowed(int32_t column, const Digit& a, const Digit& b) const {
        return !limited() || kraft_[column] + growth(a, b) <= limit_;
    }
};

}  // namespace

extern "C" {

// Solve; the result lives until hwq_adders_free. Returns null when memory runs out.
void* hwq_adders_solve(const Problem* problem, int32_t* operations) {
    try {
        auto* search = new Search(*problem);
        search->run();
        *operations = static_cast<int32_t>(search->operations_.size());
        return search;
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

// Copy the result: operations (n, 4) as a, b, shift, kind; outputs (columns, 3) as wire, position, sign.
void hwq_adders_copy(void* handle, int32_t* operations, int32_t* outputs) {
    auto* search = static_cast<Search*>(handle);
    for (const Operation& o : search->operations_)
        for (int32_t v : {o.a, o.b, o.shift, o.kind}) *operations++ = v;
    for (const Digit& d : search->outputs_)
        for (int32_t v : {d.wire, d.position, d.sign}) *outputs++ = v;
}

void hwq_adders_free(void* handle) { delete static_cast<Search*>(handle); }

// The exact bounds of every operation's result, and the sum of their costs. Returns 0, or 1 when memory runs out.
int32_t hwq_adders_ranges(int32_t inputs, const int64_t* low, const int64_t* high, int32_t count, const int32_t* operations,
                          int64_t* least, int64_t* most, int64_t* cost) {
    try {
        vector<Form> forms(inputs + count);
        vector<int32_t> readers(inputs + count, 0);
        for (int32_t i = 0; i < inputs; ++i) forms[i] = {{i, 1}};
        for (int32_t k = 0; k < count; ++k)
            for (int32_t side : {0, 1}) ++readers[operations[4 * k + side]];
        auto range = [&](int32_t wire) -> Range {
            return wire < inputs ? Range{low[wire], high[wire]} : Range{least[wire - inputs], most[wire - inputs]};
        };
        *cost = 0;
        for (int32_t k = 0; k < count; ++k) {
            const int32_t *o = operations + 4 * k, wire = inputs + k;
            forms[wire] = combine(forms[o[0]], forms[o[1]], o[2], o[3]);
            bounds(forms[wire], low, high, least[k], most[k]);
            *cost += adder_cost(range(o[0]), range(o[1]), range(wire), o[2], o[3]);
            for (int32_t side : {0, 1})
                if (--readers[o[side]] == 0) Form().swap(forms[o[side]]);
            if (!readers[wire]) Form().swap(forms[wire]);
        }
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}
}
