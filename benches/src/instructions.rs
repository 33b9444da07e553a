//! User-space instructions that a piece of code really executes, counted one by one.
//!
//! With the trap flag of an x86 processor set, the kernel sends SIGTRAP after each instruction, and
//! the handler counts. That is exact, needs no performance counters, which virtual machines seldom
//! show, and runs on the real processor: valgrind hides its SHA instructions, and takes a SHA-256
//! for ten times what it is. It costs microseconds an instruction, so it is for hundreds of calls.
//!
//! The only file with `unsafe` in it: a signal handler, and two changes of the flags register.

#![expect(
    unsafe_code,
    reason = "a signal handler and the flags register cannot be had otherwise"
)]

use crate::call::late;

/// Code that counting itself takes, found out once.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    own: u64,
}

/// Where the processor was before one instruction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step {
    /// The instruction's address.
    pub address: u64,
    /// The stack pointer: it tells calls and returns.
    pub stack: u64,
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod trap {
    use std::arch::asm;
    use std::cell::UnsafeCell;
    use std::ffi::c_int;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, MutexGuard, Once, PoisonError};

    use libc::{REG_RIP, REG_RSP, SA_RESTART, SA_SIGINFO, SIGTRAP, siginfo_t, ucontext_t};

    use super::{Counter, Step};

    /// The most instructions of one call that are remembered; more are counted all the same.
    const REMEMBERED: usize = 1 << 20;

    static COUNT: AtomicUsize = AtomicUsize::new(0);
    static STEPS: Steps = Steps(UnsafeCell::new(
        [Step {
            address: 0,
            stack: 0,
        }; REMEMBERED],
    ));

    struct Steps(UnsafeCell<[Step; REMEMBERED]>);

    // SAFETY: written by the handler alone, on the one thread that has its trap flag set, and read
    // by that same thread when the flag is off; `ONE_AT_A_TIME` keeps others from setting theirs.
    unsafe impl Sync for Steps {}

    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    /// Counts and nothing else: no allocation, no lock, no call that is not safe in a handler.
    extern "C" fn trapped(_: c_int, _: *mut siginfo_t, context: *mut libc::c_void) {
        let at = COUNT.load(Ordering::Relaxed);
        COUNT.store(at + 1, Ordering::Relaxed);
        if at < REMEMBERED {
            // SAFETY: the kernel gives a handler installed with SA_SIGINFO a `ucontext_t`, and no
            // other thread touches the steps (see above).
            unsafe {
                let registers = &(*context.cast::<ucontext_t>()).uc_mcontext.gregs;
                (*STEPS.0.get())[at] = Step {
                    address: registers[REG_RIP as usize].cast_unsigned(),
                    stack: registers[REG_RSP as usize].cast_unsigned(),
                };
            }
        }
    }

    fn install() -> Result<(), String> {
        static INSTALLED: Once = Once::new();
        let mut failed = false;
        INSTALLED.call_once(|| {
            // SAFETY: a zeroed `sigaction` is a valid one, and the handler is of the type that
            // SA_SIGINFO asks for.
            failed = unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = trapped as *const () as usize;
                action.sa_flags = SA_SIGINFO | SA_RESTART;
                libc::sigaction(SIGTRAP, &raw const action, std::ptr::null_mut()) != 0
            };
        });
        if failed {
            return Err("SIGTRAP cannot be handled here".to_owned());
        }
        Ok(())
    }

    fn alone() -> MutexGuard<'static, ()> {
        ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called with the lock held.
    #[inline(never)]
    fn stepped(call: &mut dyn FnMut()) -> usize {
        COUNT.store(0, Ordering::Relaxed);
        // SAFETY: sets the trap flag, for which a handler is installed, and touches nothing else
        // but the flags, which `asm!` takes for changed.
        unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
        call();
        // SAFETY: takes the flag away again.
        unsafe { asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
        COUNT.load(Ordering::Relaxed)
    }

    /// Asks for the processor before others: what moka does by the clock must not come to be
    /// because counting was held up. Whether that is granted does not matter on a quiet machine.
    fn first_in_line() {
        // SAFETY: changes how this thread is scheduled and nothing else.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) };
    }

    /// A thousand instructions and nothing else.
    #[inline(never)]
    fn a_thousand() {
        // SAFETY: does nothing.
        unsafe { asm!(".rept 1000", "nop", ".endr") };
    }

    impl Counter {
        /// A counter, unless this is not to be had here; then why not.
        pub fn new() -> Result<Self, String> {
            install()?;
            let _alone = alone();
            let own = stepped(&mut || {});
            let with = stepped(&mut a_thousand);
            first_in_line();
            // A call and a return come with it.
            if !(1_000..1_010).contains(&with.saturating_sub(own)) {
                return Err(format!(
                    "the trap flag sees {with} - {own} of 1,000 instructions"
                ));
            }
            Ok(Self { own: own as u64 })
        }

        /// How many instructions `call` takes, this time.
        pub fn count(self, call: &mut dyn FnMut()) -> u64 {
            let _alone = alone();
            (stepped(call) as u64).saturating_sub(self.own)
        }

        /// Every step of `call`, in order, with the few of counting itself at either end.
        pub fn trace(self, call: &mut dyn FnMut()) -> Vec<Step> {
            let _alone = alone();
            let count = stepped(call).min(REMEMBERED);
            // SAFETY: no flag is set while the lock is held, so nobody writes.
            unsafe { (&*STEPS.0.get())[..count].to_vec() }
        }
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
impl Counter {
    /// There is none here.
    pub fn new() -> Result<Self, String> {
        Err("instructions are counted on x86-64 Linux only".to_owned())
    }

    /// Never called, since there is no counter.
    pub fn count(self, _: &mut dyn FnMut()) -> u64 {
        self.own
    }

    /// Never called, since there is no counter.
    pub fn trace(self, _: &mut dyn FnMut()) -> Vec<Step> {
        Vec::new()
    }
}

/// How often moka tidies up: once in so many reads, at the cost of several calls.
const RHYTHM: u32 = 64;

/// How many calls there are before the n-th that is counted.
///
/// Counted calls must fall on every phase of moka's rhythm equally often. Counting is slow, and where
/// a counted call took more than 300 ms the next one makes moka tidy up by the clock, which starts the
/// rhythm afresh. Steps that grow by one meet every phase once in 64 counts either way: if it
/// starts afresh each time, since the steps do; and if it never does, since the sums of 0, 1, 2, ... 63
/// are all different modulo 64.
pub fn between(n: u32) -> u32 {
    64 * RHYTHM - 1 + n % RHYTHM
}

/// Counts of several calls.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Their mean, with what is done now and then.
    pub mean: f64,
    /// The fewest: a call in which nothing but the call itself was done. The same in every run.
    pub fewest: f64,
}

impl Counter {
    /// Counts `calls` calls, a multiple of 64 of them where the mean is to be right. `between`
    /// says how many calls that are not counted come before the n-th.
    pub fn counts(self, calls: u32, between: fn(u32) -> u32, call: &mut dyn FnMut()) -> Counts {
        let (mut sum, mut counted) = (0, 0);
        let mut fewest = u64::MAX;
        while counted < calls {
            for _ in 0..between(counted) {
                call();
            }
            let before = late();
            let count = self.count(call);
            if before == late() {
                sum += count;
                counted += 1;
                fewest = fewest.min(count);
            }
        }
        Counts {
            mean: sum as f64 / f64::from(calls),
            fewest: fewest as f64,
        }
    }
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod tests {
    use std::collections::HashSet;
    use std::hint::black_box;

    use super::*;

    #[test]
    fn the_same_work_takes_the_same_count() {
        let counter = Counter::new().unwrap();
        let mut work = || {
            black_box((0..black_box(100_u64)).fold(0, |sum: u64, n| sum.wrapping_mul(31) ^ n));
        };
        let first = counter.count(&mut work);
        assert!(first > 200, "{first}");
        assert_eq!(counter.count(&mut work), first);
        assert_eq!(counter.trace(&mut work).len() as u64 - counter.own, first);
    }

    /// Which phase of a rhythm each of 64 counted calls falls on.
    fn phases(starts_afresh: bool) -> HashSet<u32> {
        let mut at = 0;
        let mut phases = HashSet::new();
        for n in 0..RHYTHM {
            at = if starts_afresh { 0 } else { at } + between(n) + u32::from(!starts_afresh);
            phases.insert(at % RHYTHM);
        }
        phases
    }

    #[test]
    fn counted_calls_fall_on_every_phase() {
        assert_eq!(
            phases(true).len(),
            64,
            "a rhythm that starts afresh after each"
        );
        assert_eq!(phases(false).len(), 64, "and one that never does");
    }
}
