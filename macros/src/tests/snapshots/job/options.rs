// #[job(name = "images.tidy", crate = crate::parallel)]
// fn tidy() {}

#[allow(clippy::needless_pass_by_value)]
fn tidy() {}
#[doc(hidden)]
#[allow(non_camel_case_types, dead_code, clippy::all, clippy::pedantic)]
struct tidy {
    captures: (),
}
#[allow(dead_code, deprecated, clippy::all, clippy::pedantic)]
const _: () = {
    impl tidy {
        #[doc(hidden)]
        fn runspace_job() -> Self {
            Self { captures: () }
        }
    }
    impl crate::parallel::__private::NamedJob for tidy {
        type Output = ();
        const NAME: &'static ::core::primitive::str = "images.tidy";
        fn start(
            self,
            options: crate::parallel::__private::ProcessJobOptions,
        ) -> crate::parallel::Job<Self::Output> {
            let () = self.captures;
            crate::parallel::__private::function_job(
                options,
                Self::NAME,
                (),
                |()| tidy(),
            )
        }
    }
    crate::parallel::__private::inventory::submit! {
        crate ::parallel::__private::NamedEntry::of:: < tidy > ()
    }
};
