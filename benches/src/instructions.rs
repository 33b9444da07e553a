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

use std::time::{Duration, Instant};

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
    static STEPS: Steps = Steps(UnsafeCell::new([Step { address: 0, stack: 0 }; REMEMBERED]));

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
                return Err(format!("the trap flag sees {with} - {own} of 1,000 instructions"));
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

/// How many calls there are between two that are counted.
///
/// moka tidies up once in 64 reads, at the cost of several calls. With a multiple of 64 in between,
/// each call that is counted is one further in that rhythm, so that a multiple of 64 of them falls on
/// every phase equally often. (It is a multiple of 65 as well, against an off-by-one in some other
/// version.)
pub const BETWEEN: u32 = 64 * 65;

/// moka also tidies up when 300 ms have passed since it last did. A call that took longer to count,
/// because somebody else had the processor, is not counted.
const SLOW: Duration = Duration::from_millis(250);

/// So many instructions are slow to count on any machine.
const LONG: u64 = 20_000;

/// Counts of several calls.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Their mean, with what is done now and then.
    pub mean: f64,
    /// The fewest: a call in which nothing but the call itself was done. The same in every run.
    pub fewest: f64,
}

impl Counter {
    /// Counts `calls` calls, each of which comes after `between` that are not counted.
    pub fn counts(self, calls: u32, between: u32, call: &mut dyn FnMut()) -> Counts {
        let (mut sum, mut counted, mut tries) = (0, 0, 0);
        let mut fewest = u64::MAX;
        while counted < calls {
            for _ in 0..between {
                call();
            }
            let (before, begin) = (late(), Instant::now());
            let count = self.count(call);
            tries += 1;
            let disturbed = before != late() || (begin.elapsed() > SLOW && count < LONG);
            // On a machine that is busy all the time there is nothing better to be had.
            if !disturbed || tries > 3 * calls {
                sum += count;
                counted += 1;
                fewest = fewest.min(count);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let (sum, fewest) = (sum as f64, fewest as f64);
        Counts {
            mean: sum / f64::from(calls),
            fewest,
        }
    }
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod tests {
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
}
