"""What a graphics card computes, against the processor. All of it is skipped where there is no card."""

import copy

import numpy as np
import pytest
import torch

from helpers import data, kernels, lanczos, laws, measure, monitor, networks, operators, spectra, training

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card")


@pytest.fixture(scope="module")
def here():
    return networks.TwoLayerNet(30, 50, "softplus", seed=1).double(), data.teacher_student(80, 30, seed=1).to(
        torch.float64
    )


@pytest.fixture(scope="module")
def there(here):
    net, problem = here
    return copy.deepcopy(net).to("cuda"), problem.to("cuda")


def products(operator):
    return operator @ np.linspace(-1, 1, operator.shape[0])


ON_THE_CARD = {  # name -> what is computed from a network and its data; it stays on the card
    "network": lambda net, d: net(d.x),
    "conjugate kernel": lambda net, d: kernels.conjugate_kernel(net, d.x),
    "tangent kernel": lambda net, d: kernels.neural_tangent_kernel(net, d.x),
    "tangent kernel of any module": lambda net, d: kernels.neural_tangent_kernel(
        torch.nn.Sequential(net, torch.nn.Unflatten(0, (-1, 1))), d.x
    ),
    "dual kernel": lambda net, d: kernels.dual_kernel("tanh", d.x / d.x.norm(dim=1, keepdim=True) * 30**0.5),
    "kernel ridge": lambda net, d: kernels.kernel_ridge(d.x @ d.x.T, d.x_test @ d.x.T, d.y, 0.1),
    "singular values": lambda net, d: spectra.singular_values(net.weight),
    "eigenvalues": lambda net, d: spectra.eigenvalues(d.x @ d.x.T),
    "a few singular values": lambda net, d: spectra.singular_triplets(net.weight, 3)[1],
    "eigenvalues of the conjugate kernel": lambda net, d: operators.conjugate_kernel_eigenvalues(net, d.x),
    "cross kernels": lambda net, d: kernels.neural_tangent_kernel(net, d.x, d.x_test),
}
ON_THE_PROCESSOR = {  # name -> what comes back as numbers or arrays
    "conjugate kernel, product": lambda net, d: products(operators.conjugate_kernel_operator(net, d.x)),
    "tangent kernel, product": lambda net, d: products(operators.tangent_kernel_operator(net, d.x)),
    "Hessian, product": lambda net, d: products(operators.hessian_operator(net, d)),
    "Gauss-Newton, product": lambda net, d: products(operators.gauss_newton_operator(net, d)),
    "Lanczos": lambda net, d: lanczos.top_eigenvalues(operators.conjugate_kernel_operator(net, d.x), 3).values,
    "alignment": lambda net, d: kernels.alignment(kernels.conjugate_kernel(net, d.x), d.y),
    "overlap": lambda net, d: spectra.overlap(net.weight[:3].T, d.directions),
    "power law": lambda net, d: spectra.fit_power_law(spectra.singular_values(net.weight) ** 2).alpha,
    "edge of the bulk": lambda net, d: spectra.fit_marchenko_pastur(spectra.singular_values(net.weight), (50, 30)).edge,
    "law": lambda net, d: laws.marchenko_pastur(30 / 50).distance(spectra.eigenvalues(net.weight.T @ net.weight / 50)),
    "description": lambda net, d: list(
        spectra.describe(*(spectra.singular_values(w) for w in (net.weight, net.weight + 1)), (50, 30)).values()
    ),
    "baselines": lambda net, d: list(kernels.kernel_scores(net, *data.split(d, 20)).values()),
}


@pytest.mark.parametrize("name", ON_THE_CARD)
def test_values_stay_on_the_card(here, there, name):
    compute = ON_THE_CARD[name]
    with torch.no_grad():
        expected, got = compute(*here), compute(*there)
    assert (expected.device.type, got.device.type) == ("cpu", "cuda")
    torch.testing.assert_close(got.cpu(), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ON_THE_PROCESSOR)
def test_numbers_of_the_card(here, there, name):
    compute = ON_THE_PROCESSOR[name]
    np.testing.assert_allclose(compute(*there), compute(*here), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", training.Muon])
def test_training(here, optimizer):
    net, problem = here
    options = dict(lr=0.05, batch_size=10, epochs=3, train_readout=optimizer is not training.Muon)
    one, other = (training.train(net, problem, optimizer, **options, device=device) for device in (None, "cuda"))
    assert one.after.weight.device == other.after.weight.device
    torch.testing.assert_close(other.after.weight, one.after.weight, rtol=0, atol=1e-8)
    np.testing.assert_allclose(other.history["loss"], one.history["loss"], rtol=1e-7)


def test_network_and_data_that_live_on_the_card(here, there):
    options = dict(lr=0.05, batch_size=10, epochs=3)
    one, other = training.train(*here, **options), training.train(*there, **options)
    assert other.after.weight.device.type == "cuda"
    torch.testing.assert_close(other.after.weight.cpu(), one.after.weight, rtol=0, atol=1e-8)
    assert measure.network(other, there[1]) == pytest.approx(measure.network(one, here[1]), rel=1e-5, nan_ok=True)


def test_monitor(here, there):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(30, 40), torch.nn.Tanh(), torch.nn.Linear(40, 1)).double()
    frames = []
    for net, (_, problem) in ((model, here), (copy.deepcopy(model).to("cuda"), there)):
        watch = monitor.SpectralMonitor(net, every=1, probe=(problem.x[:20], problem.y[:20]))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        (net(problem.x)[:, 0] - problem.y).square().mean().backward()
        optimizer.step()
        watch.step(1)
        frames.append(watch.frame.select_dtypes("number"))
    np.testing.assert_allclose(*frames, rtol=1e-5, atol=1e-8)
