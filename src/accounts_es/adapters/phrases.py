"""The words of security phrases: easy to tell apart, none of them rude in any combination."""

from typing import Final

_ADJECTIVES: Final = """
    Amber Ancient Autumn Blue Bold Brave Bright Broad Calm Clever Cobalt Coral Cosmic Crimson Crisp Curious
    Daring Dawn Deep Eager Early Ebony Electric Emerald Fair Fast Fearless Fine Frosty Gentle Giant Golden Grand
    Green Happy Hidden Honest Humble Indigo Ivory Jade Jolly Keen Kind Lively Loyal Lucky Lunar Magic Maple
    Merry Mighty Mild Misty Modern Noble Northern Ocean Olive Orange Patient Pearl Polar Polite Proud Purple
    Quick Quiet Radiant Rapid Ready Royal Ruby Rustic Scarlet Secret Serene Sharp Shiny Silent Silver Simple
    Smooth Snowy Solar Southern Speedy Spring Steady Stellar Still Summer Sunny Swift Tall Tidy Tiny Tranquil
    True Velvet Violet Vivid Warm Western White Wild Winter Wise Witty Young
"""
_NOUNS: Final = """
    acorn anchor antelope apple arrow badger bamboo beacon beaver bell birch bison boat breeze bridge brook
    butterfly cactus camel candle canyon castle cedar cherry cliff clover cloud comet compass cricket crystal
    cypress daisy deer delta desert dolphin dove dragonfly eagle falcon fern field finch fjord flame forest
    fountain fox galaxy garden gazelle geyser glacier grove harbor hawk heron hill horizon iris island ivy
    jaguar jasmine jungle kestrel kite koala lagoon lake lantern lark leopard lighthouse lily lion llama lotus
    lynx magnolia meadow meteor mirror moon moss mountain nebula oak oasis ocean orchard orchid otter owl palm
    panda panther path pebble pelican penguin pine planet pond prairie puma quail rabbit rainbow raven reef
    river robin rocket rose sail salmon sparrow spruce squirrel star stone stream summit sunflower swan temple
    thistle tiger tower trail tulip turtle valley walrus waterfall wave whale willow wind wolf woodpecker zebra
"""

ADJECTIVES: Final = tuple(_ADJECTIVES.split())
NOUNS: Final = tuple(_NOUNS.split())
