"""The table of keywords against the look-up of crds."""

from stdatamodels.jwst.datamodels import JwstDataModel

from detectorist.libraries.crds_keywords import _places, look_keywords_up, places_of


def test_keywords_are_found_where_crds_finds_them():
    with JwstDataModel() as model:
        known = sorted(_places())
        assert len(known) > 200
        for keyword in [*known[::9], "EXP_TYPE", "REFTYPE", "NOTHING"]:
            assert places_of(keyword.lower()) == model.find_fits_keyword(keyword, return_result=True), keyword


def test_crds_uses_the_table():
    from crds.jwst import locate

    look_keywords_up()
    locate.cached_dm_find_fits_keyword.cache.clear()
    assert locate.cached_dm_find_fits_keyword("READPATT") == ["meta.exposure.readpatt"]
    assert locate.cached_dm_find_fits_keyword.uncached is places_of
    assert locate.fits_to_parkeys({"READPATT": "FAST", "meta.a": 1}) == {
        "META.EXPOSURE.READPATT": "FAST",
        "META.A": "1",
    }
