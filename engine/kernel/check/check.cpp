// The kernel without Python: every level of this machine, families of matrices and of sets, held to integers.
//
//     check photos.npy [--seeds N] [--threads N] [--largest TOKENS] [--levels baseline,avx2,...]
//
// scripts/sanitize builds and runs it under sanitizers. It exits with 1 when anything was wrong.
#include <cstring>
#include <memory>
#include <thread>

#include "../machine.hpp"
#include "approximate.hpp"
#include "candidates.hpp"
#include "judge.hpp"
#include "ranking.hpp"
#include "sums.hpp"

namespace {

using namespace check;
using setwise::Level;
using setwise::MatrixView;
using setwise::Outcome;
using setwise::Plan;
using setwise::Solved;
using setwise::Stage;
using setwise::Stop;

using Shape = std::pair<std::size_t, std::size_t>;
const std::vector<Shape> kShapes = {{0, 3}, {3, 0}, {1, 1}, {1, 7}, {7, 1}, {2, 2}, {4, 6}, {6, 6}, {5, 9}, {9, 5}, {16, 16}, {17, 33}, {40, 25}, {49, 49}};
const std::vector<Shape> kLargeShapes = {{100, 100}, {64, 128}, {130, 65}, {32, 600}};

struct Settings {
    std::string photos;
    std::vector<const Level*> levels;
    std::size_t seeds = 3, threads = 4, largest = 1000;

    std::vector<Shape> shapes(bool large, const std::string& family = "") const {
        std::vector<Shape> out = kShapes;
        if (large) out.insert(out.end(), kLargeShapes.begin(), kLargeShapes.end());
        if (large && family == "staircase") out.insert(out.end(), {{400, 400}, {450, 550}});
        out.erase(std::remove_if(out.begin(), out.end(), [this](const Shape& s) { return std::max(s.first, s.second) > largest; }), out.end());
        return out;
    }
};

// Something that a level makes and takes back.
using Owned = std::unique_ptr<void, void (*)(void*)>;

Owned new_query(const Level& level, const Tokens& q, bool containment) {
    Owned query(level.new_query(q.values.data(), q.n, q.m, square(q), containment), level.delete_query);
    level.prepare_other_sizes(query.get());
    return query;
}

std::string where(const Level& level, const std::string& family, Shape shape, std::uint64_t seed, const std::string& how) {
    std::ostringstream out;
    out << level.name << " " << family << " " << shape.first << "x" << shape.second << " seed " << seed << " " << how;
    return out.str();
}

template <typename T>
MatrixView plain(const std::vector<T>& values, std::size_t n, std::size_t m) {
    MatrixView view;
    view.values = values.data();
    view.bits = static_cast<int>(sizeof(T) * 8);
    view.n = n, view.m = m;
    view.row_stride = static_cast<std::ptrdiff_t>(m);
    view.column_stride = 1;
    return view;
}

void assign_as(const Level& level, void* solver, const MatrixView& view, const Matrix& a, double value, Judge& judge, const std::string& at) {
    Answer answer(a.n, a.m);
    if (level.assign(solver, view, Stop{}, answer.solution, answer.gap) != Solved::yes) return judge.expect(false, at, "taken for not finite");
    judge.optimal(a, answer, value, at);
    judge.expect(std::isfinite(answer.gap), at, "the gap is not finite");
}

// The same matrix in every layout and type that can hold it.
void assign_every_way(const Level& level, void* solver, const Matrix& a, double value, Judge& judge, const std::string& at) {
    const auto rows = static_cast<std::ptrdiff_t>(a.n), columns = static_cast<std::ptrdiff_t>(a.m);
    assign_as(level, solver, plain(a.values, a.n, a.m), a, value, judge, at + "plain");
    const Matrix turned = a.turned();
    MatrixView view = plain(turned.values, a.n, a.m);
    view.row_stride = 1, view.column_stride = rows;
    assign_as(level, solver, view, a, value, judge, at + "turned");
    if (a.values.empty()) return;
    const Matrix mirrored = matrix(a.n, a.m, [&a](std::size_t i, std::size_t j) { return a.at(a.n - 1 - i, a.m - 1 - j); });
    view = plain(mirrored.values, a.n, a.m);
    view.values = &mirrored.values.back();
    view.row_stride = -columns, view.column_stride = -1;
    assign_as(level, solver, view, a, value, judge, at + "backwards");
    const std::vector<float> floats(a.values.begin(), a.values.end());
    if (std::equal(floats.begin(), floats.end(), a.values.begin())) assign_as(level, solver, plain(floats, a.n, a.m), a, value, judge, at + "float32");
    if (largest(a) > 65504.0) return;
    std::vector<Half> halves;
    for (const double one : a.values) halves.push_back(to_half(one));
    const auto back = [](Half half) { return static_cast<double>(units(half)) * 0x1p-24; };
    if (std::equal(halves.begin(), halves.end(), a.values.begin(), [&back](Half half, double one) { return back(half) == one; }))
        assign_as(level, solver, plain(halves, a.n, a.m), a, value, judge, at + "float16");
}

void check_assign(const Settings& settings, const Photos& photos, Judge& judge) {
    for (const Family& family : families(photos))
        for (std::uint64_t seed = 0; seed < settings.seeds; ++seed)
            for (const Shape& shape : settings.shapes(seed == 0, family.name)) {
                Random random(seed * 7919 + shape.first * 131 + shape.second);
                const Matrix a = family.make(random, shape.first, shape.second);
                const double value = optimum(a);
                for (const Level* level : settings.levels) {
                    const Owned solver(level->new_solver(), level->delete_solver);
                    assign_every_way(*level, solver.get(), a, value, judge, where(*level, family.name, shape, seed, "assign "));
                }
            }
}

void check_not_finite(const Settings& settings, Judge& judge) {
    for (const Level* level : settings.levels) {
        const Owned solver(level->new_solver(), level->delete_solver);
        for (const double bad : {HUGE_VAL, -HUGE_VAL, std::nan("")}) {
            std::vector<double> values(12, 1.0);
            values[7] = bad;
            Answer answer(3, 4);
            judge.expect(level->assign(solver.get(), plain(values, 3, 4), Stop{}, answer.solution, answer.gap) == Solved::not_finite, level->name, "NaN or infinity was taken");
            const std::vector<float> narrow(values.begin(), values.end());
            judge.expect(level->assign(solver.get(), plain(narrow, 3, 4), Stop{}, answer.solution, answer.gap) == Solved::not_finite, level->name, "NaN or infinity was taken, float32");
        }
        for (const Half bad : {Half{0x7c00}, Half{0xfc00}, Half{0x7e01}}) {
            std::vector<Half> values(12, 0x3c00);
            values[5] = bad;
            Answer answer(4, 3);
            judge.expect(level->assign(solver.get(), plain(values, 4, 3), Stop{}, answer.solution, answer.gap) == Solved::not_finite, level->name, "NaN or infinity was taken, float16");
        }
    }
}

struct Problem {
    Pair sets;
    bool containment = false;
    Matrix a;
    double value = 0.0;
    Candidate candidate;

    Problem(const Pair& sets_, bool containment_)
        : sets(sets_), containment(containment_), a(containment_ ? weighted_cosines(sets_.q, sets_.x) : affinity(sets_.q, sets_.x)),
          value(optimum(a)), candidate(sets_.x) {}
};

void weigh(const Level& level, void* weigher, const Problem& problem, bool gate, double least, Judge& judge, const std::string& at) {
    for (const Plan plan : {Plan{}, Plan{true, true, false}, Plan{true, false, false}, Plan{false, true, true}}) {
        Answer answer(problem.a.n, problem.a.m);
        const Outcome outcome = level.weigh(weigher, problem.candidate.view(gate), plan, least, Stop{}, answer.solution);
        if (outcome.stage == Stage::solved) {
            judge.optimal(problem.a, answer, problem.value, at);
            continue;
        }
        judge.expect(plan.prune && problem.value < least, at, "ruled out what is good enough");
        judge.expect(outcome.bound >= problem.value, at, "an upper bound below the value");
        judge.expect(outcome.bound < least, at, "ruled out by a bound that does not");
        judge.expect(outcome.stage != Stage::damaged && outcome.stage != Stage::stopped, at, "damaged or stopped");
    }
}

void check_weigh(const Settings& settings, const Photos& photos, Judge& judge) {
    for (const SetFamily& family : set_families(photos))
        for (std::uint64_t seed = 0; seed < settings.seeds; ++seed)
            for (const Shape& shape : settings.shapes(false)) {
                Random random(seed * 104729 + shape.first * 131 + shape.second);
                Pair sets = family.make(random, shape.first, shape.second);
                const std::size_t dims = 1 + random.below(sets.q.m);
                const auto cut = [dims](const Tokens& set) {
                    Tokens out(set.n, dims);
                    for (std::size_t i = 0; i < set.n; ++i)
                        for (std::size_t k = 0; k < dims; ++k) out.at(i, k) = set.at(i, k);
                    return out;
                };
                sets = {cut(sets.q), cut(sets.x)};
                for (const bool containment : {false, true}) {
                    const Problem problem(sets, containment);
                    for (const Level* level : settings.levels) {
                        const Owned query = new_query(*level, sets.q, containment);
                        const Owned weigher(level->new_weigher(query.get()), level->delete_weigher);
                        const std::string at = where(*level, family.name, shape, seed, containment ? "containment" : "weigh");
                        const double some = std::fabs(problem.value) + 1e-6;
                        for (const double least : {-HUGE_VAL, problem.value, std::nextafter(problem.value, HUGE_VAL), problem.value + 1e-6 * some,
                                                   problem.value + 0.05 * some, problem.value + 10 * some, HUGE_VAL})
                            for (const bool gate : {false, true}) weigh(*level, weigher.get(), problem, gate, least, judge, at);
                        std::vector<double> out(problem.a.values.size());
                        if (containment) continue;
                        level->affinity(sets.q.values.data(), sets.q.n, sets.x.values.data(), sets.x.n, dims, out.data(), Stop{});
                        judge.expect(out == problem.a.values, at, "affinities differ from the exact ones");
                    }
                }
            }
}

// Any bytes for tokens and gate: an answer, or `damaged`, and never a step beyond the memory.
void check_bytes(const Settings& settings, Judge& judge) {
    for (std::uint64_t seed = 0; seed < 40 * settings.seeds; ++seed) {
        Random random(seed);
        const std::size_t dims = 1 + random.below(70);
        Tokens q(random.below(40), dims), x(random.below(40), dims);
        const bool finite = random.chance(0.5);
        for (Half& value : q.values) value = static_cast<Half>(random.bits() & 0xfbff);
        for (Half& value : x.values) value = static_cast<Half>(random.bits() & (finite ? 0xfbff : 0xffff));
        const bool damaged = std::any_of(x.values.begin(), x.values.end(), [](Half half) { return (half & 0x7c00) == 0x7c00; });
        Tokens sound = x;
        for (Half& value : sound.values)
            if ((value & 0x7c00) == 0x7c00) value = 0;
        Problem problem({q, sound}, false);
        problem.candidate = Candidate(x);
        problem.candidate.garble(random);
        for (const Level* level : settings.levels) {
            const Owned query = new_query(*level, q, false);
            const Owned weigher(level->new_weigher(query.get()), level->delete_weigher);
            for (const double least : {-HUGE_VAL, problem.value}) {
                Answer answer(q.n, x.n);
                const Outcome outcome = level->weigh(weigher.get(), problem.candidate.view(true), Plan{}, least, Stop{}, answer.solution);
                const std::string at = where(*level, "bytes", {q.n, x.n}, seed, "");
                if (outcome.stage == Stage::solved && !damaged) judge.optimal(problem.a, answer, problem.value, at);
                judge.expect(!(damaged && q.n > 0) || outcome.stage != Stage::solved, at, "solved what holds NaN or infinity");
            }
        }
    }
}

// Says stop when it is asked once too often.
struct Impatient {
    int asked = 0, most = 0;
    Stop stop() {
        return {[](void* self) { return ++static_cast<Impatient*>(self)->asked > static_cast<Impatient*>(self)->most; }, this};
    }
    bool lost() const { return asked > most; }
};

// work(stop): whether it was stopped. Stops it at every moment at which it asks, until it comes to its end.
template <typename Work>
void stop_everywhere(Judge& judge, const std::string& at, const Work& work) {
    for (Impatient caller;; caller.asked = 0, ++caller.most) {
        const bool stopped = work(caller.stop());
        judge.expect(stopped == caller.lost() && caller.asked <= caller.most + 1, at, "did not stop when it was told to");
        if (caller.lost()) continue;
        return judge.expect(caller.most > 0, at, "never asked");
    }
}

void check_stop(const Settings& settings, const Photos& photos, Judge& judge) {
    for (const Level* level : settings.levels)
        for (const Shape& shape : {Shape{300, 300}, Shape{200, 300}, Shape{300, 200}}) {  // small problems do not ask
            if (std::max(shape.first, shape.second) > settings.largest) continue;  // the slow tools have no time for these
            Random random(1);
            const Pair sets = set_families(photos)[5].make(random, shape.first, shape.second);
            const Candidate candidate(sets.x);
            const std::string at = where(*level, "stop", shape, 1, "stop ");
            std::vector<double> out(shape.first * shape.second);
            stop_everywhere(judge, at + "affinity", [&](const Stop& stop) {
                return !level->affinity(sets.q.values.data(), sets.q.n, sets.x.values.data(), sets.x.n, sets.q.m, out.data(), stop);
            });
            Answer answer(shape.first, shape.second);
            const Owned solver(level->new_solver(), level->delete_solver);
            stop_everywhere(judge, at + "assign", [&](const Stop& stop) {
                return level->assign(solver.get(), plain(out, shape.first, shape.second), stop, answer.solution, answer.gap) == Solved::stopped;
            });
            for (const bool containment : {false, true}) {
                const Owned query = new_query(*level, sets.q, containment);
                if (!containment) level->prepare_other_sizes(query.get());
                const Owned weigher(level->new_weigher(query.get()), level->delete_weigher);
                stop_everywhere(judge, at + "weigh", [&](const Stop& stop) {
                    return level->weigh(weigher.get(), candidate.view(true), Plan{}, -1e6, stop, answer.solution).stage == Stage::stopped;
                });
            }
        }
}

// One query, many threads; each has a weigher and a solver.
void check_threads(const Settings& settings, const Photos& photos, Judge& judge) {
    for (const Level* level : settings.levels)
        for (const SetFamily& family : set_families(photos)) {
            Random random(11);
            const Pair sets = family.make(random, 30, 40);
            const Problem problem(sets, false);
            const Owned query = new_query(*level, sets.q, false);
            std::vector<std::thread> threads;
            for (std::size_t t = 0; t < settings.threads; ++t)
                threads.emplace_back([&, t] {
                    const Owned weigher(level->new_weigher(query.get()), level->delete_weigher), solver(level->new_solver(), level->delete_solver);
                    const std::string at = where(*level, family.name, {30, 40}, t, "threads ");
                    for (int repeat = 0; repeat < 3; ++repeat) {
                        weigh(*level, weigher.get(), problem, true, problem.value, judge, at);
                        assign_every_way(*level, solver.get(), problem.a, problem.value, judge, at);
                        std::vector<double> out(problem.a.values.size());
                        level->affinity(sets.q.values.data(), sets.q.n, sets.x.values.data(), sets.x.n, sets.q.m, out.data(), Stop{});
                        judge.expect(out == problem.a.values, at, "affinities differ from the exact ones");
                    }
                });
            for (std::thread& thread : threads) thread.join();
        }
}

Settings read(int count, char** arguments) {
    Settings settings;
    settings.levels = setwise::levels();
    for (int i = 1; i < count; ++i) {
        const std::string name = arguments[i];
        const bool more = i + 1 < count;
        if (name == "--seeds" && more)
            settings.seeds = std::stoul(arguments[++i]);
        else if (name == "--threads" && more)
            settings.threads = std::stoul(arguments[++i]);
        else if (name == "--largest" && more)
            settings.largest = std::stoul(arguments[++i]);
        else if (name == "--levels" && more) {
            const std::string wanted = std::string(",") + arguments[++i] + ",";
            const auto unwanted = [&wanted](const Level* level) { return wanted.find(std::string(",") + level->name + ",") == std::string::npos; };
            settings.levels.erase(std::remove_if(settings.levels.begin(), settings.levels.end(), unwanted), settings.levels.end());
        } else
            settings.photos = name;
    }
    if (settings.photos.empty()) throw std::runtime_error("name the file photos.npy");
    return settings;
}

}  // namespace

int main(int count, char** arguments) try {
    const Settings settings = read(count, arguments);
    const Photos photos(settings.photos);
    Judge judge;
    const auto step = [&judge](const char* name, const auto& part) {
        const long before = judge.tried();
        part();
        std::printf("%-12s %9ld checks\n", name, judge.tried() - before);
        std::fflush(stdout);
    };
    for (const Level* level : settings.levels) std::printf("level %s\n", level->name);
    step("assign", [&] { check_assign(settings, photos, judge); });
    step("not finite", [&] { check_not_finite(settings, judge); });
    step("approximate", [&] { check_approximate(settings.levels, photos, settings.seeds, judge); });
    step("weigh", [&] { check_weigh(settings, photos, judge); });
    step("bytes", [&] { check_bytes(settings, judge); });
    step("stop", [&] { check_stop(settings, photos, judge); });
    step("ranker", [&] { check_rankers(settings.levels, photos, settings.seeds, settings.threads, std::min<std::size_t>(settings.largest, 40), judge); });
    step("sums", [&] { check_sums(settings.levels, photos, settings.seeds, settings.threads, settings.largest, judge); });
    step("threads", [&] { check_threads(settings, photos, judge); });
    std::printf("%ld checks, %ld wrong\n", judge.tried(), judge.wrong());
    return judge.wrong() == 0 ? 0 : 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "check: %s\n", error.what());
    return 2;
}
