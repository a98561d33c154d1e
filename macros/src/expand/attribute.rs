use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use super::{at, first_span, parenthesised, tuple};
use crate::model::{Entered, Main};

/// The function as it was written, and a type of the same name: functions and types with braces
/// live in different namespaces, and `use` brings both. `start_job!` finds the type, and with it the
/// parameters; the registry has it for the process that is sent the name alone.
///
/// ```text
/// struct resize { captures: (PathBuf, u32,) }
/// impl resize { fn runspace_job(path: PathBuf, width: u32) -> Self }
/// impl NamedJob for resize { fn start(self, options) { function_job(options, .., |NAMES| resize(NAMES)) } }
/// inventory::submit! { NamedEntry::of::<resize>() }
/// ```
pub(crate) fn entered(job: &Entered, item: &TokenStream) -> TokenStream {
    let Entered {
        krate,
        visibility,
        function,
        parameters,
        output,
        name,
    } = job;
    let names: Vec<_> = parameters.iter().map(|(name, _)| name).collect();
    let types: Vec<_> = parameters.iter().map(|(_, ty)| ty).collect();
    // The function may have a parameter of its own name.
    let values: Vec<_> = (0..parameters.len())
        .map(|index| format_ident!("argument{}", index, span = Span::mixed_site()))
        .collect();
    // Each argument stands at the type of its parameter, and the function at that of its output.
    let arguments = tuple(values.iter().zip(&types).map(|(value, ty)| {
        let here = first_span(krate).located_at(first_span(ty));
        let (path, value) = (at(krate, here), parenthesised(quote!(#value), here));
        quote_spanned!(here=> #path::__private::parameter() #value)
    }));
    let names_of_values = tuple(values.iter().map(|value| quote!(#value)));
    let there = Span::mixed_site().located_at(first_span(output));
    let mut called = function.clone();
    called.set_span(function.span().located_at(first_span(output)));
    let call = quote_spanned!(there=> |#names_of_values| #called(#(#values),*));
    // rustc shows its parameters where those of the function are.
    let entry = Ident::new("runspace_job", function.span());
    // Clippy's advice to take a reference is one that a job cannot follow.
    quote! {
        #[allow(clippy::needless_pass_by_value)]
        #item

        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code, clippy::all, clippy::pedantic)]
        #visibility struct #function {
            captures: (#(#types,)*),
        }

        #[allow(dead_code, deprecated, clippy::all, clippy::pedantic)]
        const _: () = {
            impl #function {
                #[doc(hidden)]
                #visibility fn #entry(#(#names: #types),*) -> Self {
                    Self { captures: (#(#names,)*) }
                }
            }

            impl #krate::__private::NamedJob for #function {
                type Output = #output;
                const NAME: &'static ::core::primitive::str = #name;

                fn start(
                    self,
                    options: #krate::__private::ProcessJobOptions,
                ) -> #krate::Job<Self::Output> {
                    let (#(#values,)*) = self.captures;
                    #krate::__private::function_job(options, Self::NAME, #arguments, #call)
                }
            }

            #krate::__private::inventory::submit! {
                #krate::__private::NamedEntry::of::<#function>()
            }
        };
    }
}

/// ```text
/// fn main() { serve_if_worker(); STATEMENTS }
/// fn main() { #[runtime] async fn main() { STATEMENTS } serve_if_worker(); main() }
/// ```
///
/// Beside it stands what tells the constructor of the crate that `main` does this.
pub(crate) fn main(main: &Main, item: &TokenStream) -> TokenStream {
    match main {
        // A `main` that is as rustc wants it keeps it from adding to what has been said.
        Main::Unfit => quote! {
            fn main() {
                #item
                let _ = main;
            }
        },
        Main::Sync {
            krate,
            head,
            first,
            block,
        } => {
            let statements = block.stream();
            let mut body = Group::new(
                block.delimiter(),
                quote!(#first #krate::__private::serve_if_worker(); #statements),
            );
            body.set_span(block.span());
            quote! {
                #head #body
                #krate::__main_will_serve! {}
            }
        }
        Main::Async {
            krate,
            visibility,
            output,
        } => quote! {
            #visibility fn main() #output {
                #item
                #krate::__private::serve_if_worker();
                main()
            }
            #krate::__main_will_serve! {}
        },
    }
}
